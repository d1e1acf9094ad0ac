/* SPDX-License-Identifier: Apache-2.0 */
/* join.c - one network of a box: its CNI chain, and a TAP for the VM */
#include "join.h"

#include <errno.h>
#include <string.h>

#include "cache.h"
#include "cni.h"
#include "conf.h"
#include "lease.h"
#include "link.h"
#include "log.h"
#include "netns.h"
#include "networks.h"
#include "result.h"

#define PHASE_MAX 128 /* bytes of a phase's name */

struct chain join_chain(const struct join *j, size_t i)
{
	return (struct chain){ .at = &j->lease->nets[i],
			       .bin_dir = j->cfg->cni_bin_dir,
			       .id = j->key,
			       .netns = j->path,
			       .timeout_ms = j->timeout_ms,
			       .lock = j->lock };
}

/* The phases of the first network are called as if there were no other. */
static const char *phase(const struct join *j, size_t i, const char *what, char name[PHASE_MAX])
{
	snprintf(name, PHASE_MAX, "%s%s%s", what, i ? "." : "", i ? j->lease->nets[i].name : "");
	return name;
}

/* A plugin's own time is its phase; what we do around it is one for all. */
static void mark_plugin(const struct join *j, size_t i, const char *type, unsigned long long ran_us)
{
	char what[80], name[PHASE_MAX];

	snprintf(what, sizeof(what), "cni.%s", type);
	phase_split(j->phases, "calls", phase(j, i, what, name), ran_us);
}

/*
 * A plugin that says itself that it failed has cleaned up, or does so now; one that cannot do
 * either (of another version, say) must not keep the box from being forgotten.
 */
static void take_refusal(const struct chain *chain, struct attachment *at, size_t i)
{
	struct qbx_err e = { 0 };

	if (cni_del(chain, i, at->result, &e) < 0)
		log_debug("%s", e.msg);
	at->started = i;
}

/* The lease says that a plugin may have run before it does, and what the one before it made. */
static int run_chain(const struct join *j, size_t n, struct qbx_err *err)
{
	struct attachment *at = &j->lease->nets[n];
	const struct chain chain = join_chain(j, n);

	for (size_t i = 0; i < conf_count(&at->conf); i++) {
		struct cni_added added = { 0 };

		at->started = i + 1;
		if (lease_append(j->cfg, j->key, j->lease, err) < 0 ||
		    cni_add(&chain, i, at->result, &added, err) < 0) {
			if (added.refused)
				take_refusal(&chain, at, i);
			return -1;
		}
		json_decref(at->result);
		at->result = added.result;
		mark_plugin(j, n, conf_type(&at->conf, i), added.ran_us);
	}
	return 0;
}

/*
 * The guest's own address behind a TAP that the chain made. What the result says, unless that is
 * the TAP's: then one that is this interface's for good, in the locally administered range (FNV-1a
 * of the two names).
 */
static int guest_mac(json_t *link, struct rtnl_link *tap, const char *key, const char *name)
{
	const char *said = json_string_value(json_object_get(link, "mac"));
	unsigned long long h = 0xcbf29ce484222325ull;
	unsigned m[5];
	char taps[18];

	if (said && strcmp(said, link_mac(tap, taps)) != 0)
		return 0;
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ull;
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
	for (int i = 0; i < 5; i++)
		m[i] = (h >> 8 * i) & 0xff;
	return json_object_set_new(
		link, "mac",
		json_sprintf("02:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4]));
}

static int describe(const struct join *j, size_t i, json_t *link, struct rtnl_link *tap,
		    struct qbx_err *err)
{
	const struct attachment *at = &j->lease->nets[i];

	if (json_object_set_new(link, "name", json_string(at->name)) < 0 ||
	    json_object_set_new(link, "ifname", json_string(at->ifname)) < 0 ||
	    json_object_set_new(link, "tap", json_string(rtnl_link_get_name(tap))) < 0 ||
	    json_object_set_new(link, "mtu", json_integer((json_int_t)rtnl_link_get_mtu(tap))) <
		    0 ||
	    tap_tell_queues(link, tap, j->lease->queues) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	return 0;
}

/* In a namespace that somebody else made there may be one already, which is theirs. */
static int name_tap(const struct join *j, size_t i, struct nl_sock *sock, struct qbx_err *err)
{
	struct attachment *at = &j->lease->nets[i];
	_cleanup_(cleanup_linkp) struct rtnl_link *theirs = NULL;
	struct qbx_err none = { 0 };
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "tap%u", (unsigned)i);
	theirs = j->lease->owned ? NULL : link_get(sock, name, &none);
	if (theirs)
		return err_code(err, EX_UNAVAILABLE, "create %s: there is one in %s", name,
				j->path);
	snprintf(at->tap, sizeof(at->tap), "%s", name);
	return lease_append(j->cfg, j->key, j->lease, err);
}

/* A TAP of our own beside the chain's interface, whose place and address the guest takes. */
int join_tap(const struct join *j, size_t i, struct nl_sock *sock, json_t *link,
	     struct qbx_err *err)
{
	const struct attachment *at = &j->lease->nets[i];
	_cleanup_(cleanup_linkp) struct rtnl_link *nic = link_get(sock, at->ifname, err);
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;
	char mac[18];

	if (!nic || nic_fits(nic, err) < 0)
		return -1;
	if (name_tap(j, i, sock, err) < 0)
		return -1;
	tap = tap_create(j->ns, sock, at->tap, rtnl_link_get_mtu(nic), j->lease->queues, err);
	if (!tap || redirect_pair(sock, nic, tap, err) < 0)
		return -1;
	if (json_object_set_new(link, "mac", json_string(link_mac(nic, mac))) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	return describe(j, i, link, tap, err);
}

static json_t *no_link(const struct attachment *at, struct qbx_err *err)
{
	err_wrap(err, "CNI network %s", at->conf.name);
	return NULL;
}

static json_t *make_link(const struct join *j, size_t i, struct qbx_err *err)
{
	const struct attachment *at = &j->lease->nets[i];
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = netns_socket(j->ns, err);
	json_auto_t *link = sock ? result_link(at->result, at->ifname, j->key, err) : NULL;
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;

	if (!link)
		return NULL;
	if (json_object_set_new(link, "network", json_string(at->conf.name)) < 0) {
		err_sys(err, ENOMEM, "describe the network");
		return NULL;
	}
	tap = tap_find(sock, at->result);
	if (!tap)
		return join_tap(j, i, sock, link, err) < 0 ? no_link(at, err) : take_ptr(link);
	if (guest_mac(link, tap, j->key, at->name) < 0 || describe(j, i, link, tap, err) < 0)
		return NULL;
	return take_ptr(link);
}

json_t *join_network(const struct join *j, size_t i, struct qbx_err *err)
{
	char name[PHASE_MAX];
	json_t *link;

	if (run_chain(j, i, err) < 0 ||
	    cache_write(j->cfg, j->key, j->path, &j->lease->nets[i], err) < 0)
		return NULL;
	link = make_link(j, i, err);
	if (link)
		phase_mark(j->phases, phase(j, i, "tap", name));
	return link;
}
