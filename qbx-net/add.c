/* SPDX-License-Identifier: Apache-2.0 */
/* add.c - qbx-net add: namespace, CNI chain, TAP */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "net.h"
#include "phase.h"

/* One box on its way to a network. */
struct add {
	struct cli *cli;
	struct box box;
	char path[NETNS_PATH_MAX]; /* of the namespace */
	struct chain chain;
	struct lease lease;
	struct phases phases;
};

static void add_free(struct add *a)
{
	box_free(&a->box);
	lease_free(&a->lease);
	json_decref(phase_take(&a->phases));
}

/* The network that the document wants; lease.conf stays empty where there is none. */
static int choose(struct add *a, struct qbx_err *err)
{
	const char *network = json_string_value(json_object_get(a->box.doc, "network"));
	const struct config *cfg = &a->cli->cfg;

	if (network && !strcmp(network, "none"))
		return 0;
	if (network && strcmp(network, "cni") != 0)
		return err_code(err, EX_DATAERR, "\"network\" must be \"cni\" or \"none\"");
	if (conf_find(cfg, cfg->cni_network, &a->lease.conf, err) < 0)
		return -1;
	if (!a->lease.conf.list)
		log_warn(
			"no network for %s: no CNI configuration in %s (*.conf, *.conflist)",
			a->box.key, cfg->cni_conf_dir);
	return 0;
}

/* Every plugin must be there before the first one runs. */
static int check_plugins(const struct chain *chain, struct qbx_err *err)
{
	for (size_t i = 0; i < conf_count(chain->conf); i++) {
		_cleanup_(cni_call_free) struct cni_call call = { 0 };

		if (cni_prepare(chain, i, "ADD", NULL, &call, err) < 0)
			return -1;
	}
	return 0;
}

/* Refuse a box that has its network; take back what a killed add or a reboot left of one. */
static int clear_old(struct add *a, struct qbx_err *err)
{
	_cleanup_(lease_free) struct lease old = { 0 };
	const struct config *cfg = &a->cli->cfg;
	struct qbx_err gone = { 0 };
	_cleanup_close_ int ns = netns_open(a->path, &gone);
	int found = lease_read(cfg, a->box.key, &old, err);

	if (found < 0)
		return -1;
	if (ns < 0 && gone.sys != ENOENT) {
		*err = gone;
		return -1;
	}
	if (found && old.net && ns >= 0) {
		err_code(err, EX_TEMPFAIL, "box %s already has a network", a->box.key);
		return err_hint(err, "qbx-net del takes it back");
	}
	/* A namespace that stands there without a lease was made by somebody else. */
	a->lease.owned = old.owned || ns < 0;
	if (!found || a->cli->dry_run)
		return 0;
	log_debug("taking back what an earlier add of %s left", a->box.key);
	return undo(cfg, a->box.key, &old, a->chain.timeout_ms, err);
}

/*
 * A plugin that says itself that it failed has cleaned up, or does so now; one that cannot do
 * either (of another version, say) must not keep the box from being forgotten.
 */
static void take_refusal(struct add *a, size_t i)
{
	struct qbx_err e = { 0 };

	if (cni_del(&a->chain, i, a->lease.result, &e) < 0)
		log_debug("%s", e.msg);
	a->lease.started = i;
}

/* The lease says that a plugin may have run before it does, and what the one before it made. */
static int run_chain(struct add *a, struct qbx_err *err)
{
	struct lease *l = &a->lease;

	for (size_t i = 0; i < conf_count(&l->conf); i++) {
		json_t *result;
		bool refused = false;
		char phase[80];

		l->started = i + 1;
		if (lease_write(&a->cli->cfg, a->box.key, l, err) < 0 ||
		    cni_add(&a->chain, i, l->result, &result, &refused, err) < 0) {
			if (refused)
				take_refusal(a, i);
			return -1;
		}
		json_decref(l->result);
		l->result = result;
		snprintf(phase, sizeof(phase), "cni.%s", conf_type(&l->conf, i));
		phase_mark(&a->phases, phase);
	}
	return 0;
}

/*
 * The guest's own address behind a TAP that the chain made. What the result says, unless that is
 * the TAP's: then one that is this box's for good, in the locally administered range (FNV-1a of the
 * key).
 */
static int guest_mac(json_t *link, struct rtnl_link *tap, const char *key)
{
	const char *said = json_string_value(json_object_get(link, "mac"));
	unsigned long long h = 0xcbf29ce484222325ull;
	unsigned m[5];
	char taps[18];

	if (said && strcmp(said, link_mac(tap, taps)) != 0)
		return 0;
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ull;
	for (int i = 0; i < 5; i++)
		m[i] = (h >> 8 * i) & 0xff;
	return json_object_set_new(
		link, "mac",
		json_sprintf("02:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4]));
}

static int describe(json_t *link, struct rtnl_link *tap, struct qbx_err *err)
{
	if (json_object_set_new(link, "tap", json_string(rtnl_link_get_name(tap))) < 0 ||
	    json_object_set_new(link, "mtu", json_integer((json_int_t)rtnl_link_get_mtu(tap))) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	return 0;
}

/* A TAP of our own beside the chain's interface, whose place and address the guest takes. */
static int join_tap(struct add *a, int ns, struct nl_sock *sock, json_t *link, struct qbx_err *err)
{
	_cleanup_(cleanup_linkp) struct rtnl_link *nic = link_get(sock, NET_IFNAME, err);
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;
	char mac[18];

	if (!nic)
		return err_wrap(err, "CNI network %s", a->lease.conf.name);
	if (!link_mac(nic, mac)[0])
		return err_code(err, EX_UNAVAILABLE, "CNI network %s: %s is no Ethernet interface",
				a->lease.conf.name, NET_IFNAME);
	a->lease.tap = true;
	if (lease_write(&a->cli->cfg, a->box.key, &a->lease, err) < 0)
		return -1;
	tap = tap_create(ns, sock, rtnl_link_get_mtu(nic), err);
	if (!tap || redirect_pair(sock, nic, tap, err) < 0)
		return -1;
	if (json_object_set_new(link, "mac", json_string(mac)) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	return describe(link, tap, err);
}

/* Return: the guest's interface as the document has it, or NULL with @err. */
static json_t *make_link(struct add *a, int ns, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = netns_socket(ns, err);
	json_auto_t *link = sock ? result_link(a->lease.result, NET_IFNAME, a->box.key, err) : NULL;
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;

	if (!link)
		return NULL;
	tap = tap_find(sock, a->lease.result);
	if (!tap)
		return join_tap(a, ns, sock, link, err) < 0 ? NULL : take_ptr(link);
	if (guest_mac(link, tap, a->box.key) < 0 || describe(link, tap, err) < 0)
		return NULL;
	return take_ptr(link);
}

/* Everything that changes something. */
static int make(struct add *a, json_t *links, struct qbx_err *err)
{
	_cleanup_close_ int ns = -1;
	json_t *link;

	if (lease_write(&a->cli->cfg, a->box.key, &a->lease, err) < 0 ||
	    (a->lease.owned && netns_create(a->path, err) < 0))
		return -1;
	ns = netns_open(a->path, err);
	if (ns < 0)
		return -1;
	phase_mark(&a->phases, "netns");
	if (!a->lease.conf.list)
		return 0;
	if (run_chain(a, err) < 0)
		return -1;
	link = make_link(a, ns, err);
	if (!link)
		return -1;
	json_array_append_new(links, link);
	phase_mark(&a->phases, "tap");
	return 0;
}

/* The "net" key goes into lease and document; the document goes out. */
static int answer(struct add *a, json_t *links, struct qbx_err *err)
{
	json_t *dns = result_dns(a->lease.result, err);

	if (!dns)
		return -1;
	a->lease.net = json_pack("{s:s, s:b, s:s?, s:O, s:o, s:o}", "netns", a->path, "owned",
				 a->lease.owned, "cni", a->lease.conf.name, "links", links, "dns",
				 dns, "t_us", phase_take(&a->phases));
	if (!a->lease.net || json_object_set(a->box.doc, "net", a->lease.net) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	if (lease_write(&a->cli->cfg, a->box.key, &a->lease, err) < 0)
		return -1;
	return cli_emit(a->box.doc, err);
}

static int make_and_answer(struct add *a, struct qbx_err *err)
{
	json_auto_t *links = json_array();
	struct qbx_err left = { 0 };

	if (make(a, links, err) == 0 && answer(a, links, err) == 0)
		return 0;
	if (undo(&a->cli->cfg, a->box.key, &a->lease, a->chain.timeout_ms, &left) < 0)
		err_hint(err, "undoing it failed too, qbx-net del tries again: %s", left.msg);
	return -1;
}

static int add(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(add_free) struct add a = { .cli = cli };
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };

	phase_begin(&a.phases);
	if (cli_read_box(cli, &a.box, err) < 0 || choose(&a, err) < 0)
		return -1;
	netns_path(a.path, a.box.key);
	a.chain = (struct chain){ .conf = &a.lease.conf,
				  .bin_dir = cli->cfg.cni_bin_dir,
				  .id = a.box.key,
				  .netns = a.path,
				  .timeout_ms = net_plugin_timeout(err) };
	if (a.chain.timeout_ms < 0 || check_plugins(&a.chain, err) < 0)
		return -1;
	if (!cli->dry_run && lease_lock(&cli->cfg, a.box.key, &lock, err) < 0)
		return -1;
	if (clear_old(&a, err) < 0)
		return -1;
	phase_mark(&a.phases, "prepare");
	if (cli->dry_run)
		return plan_add(&a.chain, &cli->cfg, a.lease.owned, err);
	return make_and_answer(&a, err);
}

const struct cli_verb verb_add = {
	.name = "add",
	.help = "make the box's network namespace, join it to a CNI network, add a TAP for the VM",
	.run = add,
};
