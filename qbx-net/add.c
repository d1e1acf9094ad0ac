/* SPDX-License-Identifier: Apache-2.0 */
/* add.c - qbx-net add: namespace, networks */
#include <errno.h>
#include <string.h>

#include "cni.h"
#include "conf.h"
#include "join.h"
#include "lease.h"
#include "log.h"
#include "net.h"
#include "netns.h"
#include "networks.h"
#include "resolv.h"
#include "result.h"
#include "size.h"
#include "step.h"

/* One box on its way to its networks. */
struct add {
	struct cli *cli;
	struct box box;
	char path[NETNS_PATH_MAX]; /* of the namespace */
	struct lease lease;
	struct phases phases;
	struct join join;
};

static void add_free(struct add *a)
{
	box_free(&a->box);
	lease_free(&a->lease);
	json_decref(phase_take(&a->phases));
}

/* Its configuration, and whether that can do what is asked of it. Return: 1, 0: there is none, or -1. */
static int choose_one(struct attachment *at, const struct config *cfg, bool explicit,
		      int timeout_ms, struct qbx_err *err)
{
	if (conf_find(cfg, at->wanted ? at->wanted : cfg->cni_network, &at->conf, err) < 0)
		return -1;
	if (at->conf.list)
		return capability_check(at, err) < 0 || version_settle(&at->conf, cfg->cni_bin_dir,
								       timeout_ms, err) < 0
			       ? -1
			       : 1;
	if (!explicit)
		return 0;
	err_code(err, EX_CONFIG, "no CNI configuration in %s (*.conf, *.conflist)",
		 cfg->cni_conf_dir);
	return err_hint(err, "the document asks for a network");
}

/* A namespace that somebody else has filled. Return: 1, 0 if none is given, or -1 with @err. */
static int take_given(struct add *a, struct qbx_err *err)
{
	const json_t *given = json_object_get(a->box.doc, "netns");
	const char *path = json_string_value(given);
	_cleanup_close_ int ns = -1;
	struct netns_id own = { 0 };
	_cleanup_close_ int here = -1;

	if (!given)
		return 0;
	if (!path || path[0] != '/' || strlen(path) >= PATH_MAX)
		return err_code(err, EX_DATAERR, "\"netns\" must be an absolute path");
	if (json_object_get(a->box.doc, "networks"))
		return err_code(err, EX_DATAERR,
				"\"netns\" and \"networks\": one whose networks are made "
				"already, or networks to make, not both");
	ns = netns_open_given(path, &a->lease.given_id, err);
	if (ns < 0)
		return -1;
	here = netns_open_given("/proc/self/ns/net", &own, err);
	if (here < 0)
		return -1;
	if (own.dev == a->lease.given_id.dev && own.ino == a->lease.given_id.ino)
		return err_sys(err, ENOTSUP, "network namespace %s is the host's", path);
	a->lease.given = strdup(path);
	return a->lease.given ? 1 : err_sys(err, ENOMEM, "network namespace %s", path);
}

/* The networks that the document wants; none where it says nothing and none is configured. */
static int choose(struct add *a, struct qbx_err *err)
{
	bool explicit = json_object_get(a->box.doc, "networks") != NULL;
	const struct config *cfg = &a->cli->cfg;
	int given = take_given(a, err);

	if (given != 0)
		return given < 0 ? -1 : 0;
	if (networks_take(&a->lease, a->box.doc, err) < 0)
		return -1;
	for (size_t i = 0; i < a->lease.nnets; i++) {
		int found = choose_one(&a->lease.nets[i], cfg, explicit, a->join.timeout_ms, err);

		if (found < 0)
			return -1;
		if (found > 0)
			continue;
		log_warn("no network for %s: no CNI configuration in %s (*.conf, *.conflist)",
			 a->box.key, cfg->cni_conf_dir);
		lease_free(&a->lease);
	}
	return 0;
}

/* What an interface of the VM will have, as qbx-vm(8) sizes that. */
static int plan_queues(struct add *a, struct qbx_err *err)
{
	struct limits limits;
	struct size size;

	a->lease.queues = 1;
	if (a->lease.nnets == 0 && !a->lease.given)
		return 0;
	if (limits_make(&limits, &a->cli->cfg, &a->box, err) < 0)
		return -1;
	size_vcpus(&limits, &size, NULL);
	a->lease.queues = size_queues(&size);
	return 0;
}

/* Every plugin must be there before the first one runs. */
static int check_plugins(const struct join *j, struct qbx_err *err)
{
	for (size_t n = 0; n < j->lease->nnets; n++) {
		const struct chain chain = join_chain(j, n);

		for (size_t i = 0; i < conf_count(&chain.at->conf); i++) {
			_cleanup_(cni_call_free) struct cni_call call = { 0 };

			if (cni_prepare(&chain, i, "ADD", NULL, &call, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Refuse a box that has its network; take back what a killed add or a reboot left of one. */
static int clear_old(struct add *a, struct qbx_err *err)
{
	_cleanup_(lease_free) struct lease old = { 0 };
	const struct config *cfg = &a->cli->cfg;
	struct join with = a->join;
	struct qbx_err gone = { 0 };
	int found = lease_read(cfg, a->box.key, &old, err);
	_cleanup_close_ int ns =
		found < 0 ? -1 : netns_of(found ? &old : &a->lease, a->box.key, &gone);

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
	a->lease.owned = !a->lease.given && (old.owned || ns < 0);
	if (!found || a->cli->dry_run)
		return 0;
	log_debug("taking back what an earlier add of %s left", a->box.key);
	with.lease = &old;
	return undo(&with, err);
}

/* Everything that changes something. */
static int make(struct add *a, json_t *links, struct qbx_err *err)
{
	_cleanup_close_ int ns = -1;

	if (lease_write(&a->cli->cfg, a->box.key, &a->lease, err) < 0 ||
	    (a->lease.owned && netns_create(a->path, err) < 0))
		return -1;
	ns = netns_of(&a->lease, a->box.key, err);
	if (ns < 0)
		return -1;
	phase_mark(&a->phases, "netns");
	a->join.ns = ns;
	if (a->lease.given)
		return adopt(&a->join, links, err);
	for (size_t i = 0; i < a->lease.nnets; i++) {
		json_t *link = join_network(&a->join, i, err);

		if (!link)
			return -1;
		result_drop_routes(link, links);
		json_array_append_new(links, link);
	}
	return netns_is(a->path, ns, err);
}

/* What all networks say of names, or else the host. */
static json_t *join_dns(const struct lease *l, struct qbx_err *err)
{
	json_auto_t *dns = result_dns(NULL, err), *host = NULL;

	for (size_t i = 0; i < l->nnets; i++) {
		json_auto_t *more = result_dns(l->nets[i].result, err);

		if (!more)
			return NULL;
		result_join_dns(dns, more);
	}
	if (l->nnets == 0 || json_array_size(json_object_get(dns, "nameservers")))
		return take_ptr(dns);
	host = resolv_host();
	result_join_dns(dns, host);
	return take_ptr(dns);
}

/* The "net" key goes into lease and document; the document goes out. */
static int answer(struct add *a, json_t *links, struct qbx_err *err)
{
	char path[NETNS_PATH_MAX];
	json_t *dns = join_dns(&a->lease, err);
	const char *first = a->lease.nnets ? a->lease.nets[0].conf.name : NULL;

	if (!dns)
		return -1;
	a->lease.net =
		json_pack("{s:s, s:b, s:s?, s:O, s:o, s:o}", "netns",
			  netns_path_of(&a->lease, a->box.key, path), "owned", a->lease.owned,
			  "cni", first, "links", links, "dns", dns, "t_us", phase_take(&a->phases));
	if (!a->lease.net || json_object_set(a->box.doc, "net", a->lease.net) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	if (lease_append(&a->cli->cfg, a->box.key, &a->lease, err) < 0)
		return -1;
	if (cli_emit(a->box.doc, err) < 0)
		return -1;
	step("answered", a->box.key);
	return 0;
}

/*
 * The process that the lease lives as long as. A box that has its directory already is the shim's, which
 * has called us.
 */
static int set_owner(struct add *a, struct qbx_err *err)
{
	struct qbx_err none = { 0 };
	_cleanup_close_ int dir = -1;
	char *end = NULL;
	long pid = net_opts.owner ? strtol(net_opts.owner, &end, 10) : 0;

	if (net_opts.owner) {
		if (*end || pid <= 1 || pid > INT_MAX ||
		    proc_identify((pid_t)pid, &a->lease.owner) < 0)
			return err_code(err, EX_USAGE, "--owner: \"%s\" is no process",
					net_opts.owner);
		return 0;
	}
	dir = box_dir_open(&a->cli->cfg, &a->box, 0, &none);
	if (dir >= 0 && getppid() > 1 && proc_identify(getppid(), &a->lease.owner) < 0)
		a->lease.owner.pid = 0;
	return 0;
}

static int make_and_answer(struct add *a, struct qbx_err *err)
{
	_cleanup_close_ int turn = turn_take(&a->cli->cfg, &a->lease);
	json_auto_t *links = json_array();
	struct qbx_err left = { 0 };

	if (make(a, links, err) == 0 && answer(a, links, err) == 0)
		return 0;
	if (undo(&a->join, &left) < 0)
		err_hint(err, "undoing it failed too, qbx-net del tries again: %s", left.msg);
	return -1;
}

static int add(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(add_free) struct add a = { .cli = cli };
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };

	phase_begin(&a.phases);
	if (cli_read_box(cli, &a.box, err) < 0)
		return -1;
	a.join = (struct join){ .cfg = &cli->cfg,
				.key = a.box.key,
				.path = netns_path(a.path, a.box.key),
				.lease = &a.lease,
				.phases = &a.phases,
				.lock = &lock,
				.ns = -1,
				.timeout_ms = net_plugin_timeout(err) };
	if (a.join.timeout_ms < 0 || choose(&a, err) < 0 || plan_queues(&a, err) < 0 ||
	    check_plugins(&a.join, err) < 0)
		return -1;
	a.join.path = netns_path_of(&a.lease, a.box.key, a.path);
	if (set_owner(&a, err) < 0)
		return -1;
	if (!cli->dry_run && lease_lock(&cli->cfg, a.box.key, &lock, err) < 0)
		return -1;
	if (clear_old(&a, err) < 0)
		return -1;
	phase_mark(&a.phases, "prepare");
	if (cli->dry_run)
		return plan_add(&a.join, err);
	return make_and_answer(&a, err);
}

const struct cli_verb verb_add = {
	.name = "add",
	.help = "make the box's network namespace, join its CNI networks, add TAPs for the VM",
	.run = add,
};
