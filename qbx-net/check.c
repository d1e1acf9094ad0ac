/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - qbx-net check: is a box's network still what it was given? */
#include <errno.h>
#include <string.h>

#include "cni.h"
#include "conf.h"
#include "inspect.h"
#include "join.h"
#include "lease.h"
#include "link.h"
#include "net.h"
#include "netns.h"
#include "networks.h"

/* The plugins' own view. 0.3 had no CHECK; a network may forbid it. */
static void check_plugins(const struct join *j, size_t i, json_t *found)
{
	const struct attachment *at = &j->lease->nets[i];
	const struct chain chain = join_chain(j, i);

	if (!at->conf.list || strcmp(at->conf.version, "0.4.0") < 0 ||
	    conf_says(&at->conf, "disableCheck"))
		return;
	for (size_t p = 0; p < conf_count(&at->conf); p++) {
		struct qbx_err e = { 0 };

		if (cni_check(&chain, p, &e) < 0)
			differs(found, at->ifname, "%s", e.msg);
	}
}

/* What sync has put something else in the place of. */
static void check_rest(const struct attachment *at, json_t *found)
{
	if (at->conf.list)
		differs(found, at->ifname, "is still to be given back, as del does");
}

static int check_networks(const struct join *j, json_t *found, struct qbx_err *err)
{
	const json_t *links = json_object_get(j->lease->net, "links");
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = netns_socket(j->ns, err);

	if (!sock)
		return -1;
	for (size_t i = 0; i < j->lease->nnets; i++) {
		if (i >= json_array_size(links)) {
			check_rest(&j->lease->nets[i], found);
			continue;
		}
		inspect_network(sock, &j->lease->nets[i], json_array_get(links, i), j->key, found);
		check_plugins(j, i, found);
	}
	return 0;
}

/* What differs, into @found. */
static int check_lease(struct join *j, json_t *found, struct qbx_err *err)
{
	struct qbx_err gone = { 0 };
	char path[NETNS_PATH_MAX];
	_cleanup_close_ int ns = -1;
	int known = lease_read(j->cfg, j->key, j->lease, err);

	if (known < 0)
		return -1;
	if (known == 0) {
		differs(found, j->key, "has no network");
		return 0;
	}
	if (!j->lease->net) {
		differs(found, j->key, "its add or del has not finished");
		return 0;
	}
	j->path = netns_path_of(j->lease, j->key, path);
	ns = netns_of(j->lease, j->key, &gone);
	if (ns < 0 && gone.sys != ENOENT) {
		*err = gone;
		return -1;
	}
	if (ns < 0) {
		differs(found, j->path, "is missing");
		return 0;
	}
	j->ns = ns;
	return check_networks(j, found, err);
}

static int print(const json_t *found, struct qbx_err *err)
{
	json_t *one;
	size_t i;

	json_array_foreach ((json_t *)found, i, one)
		printf("%s: %s\n", json_string_value(json_object_get(one, "about")),
		       json_string_value(json_object_get(one, "difference")));
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int check(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_(lease_free) struct lease l = { 0 };
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };
	json_auto_t *found = json_array();
	struct join j = { .cfg = &cli->cfg, .lease = &l, .lock = &lock, .ns = -1 };

	j.timeout_ms = net_plugin_timeout(err);
	if (j.timeout_ms < 0 || cli_read_box(cli, &box, err) < 0)
		return -1;
	j.key = box.key;
	if (lease_lock(&cli->cfg, box.key, &lock, err) < 0 || check_lease(&j, found, err) < 0)
		return -1;
	if ((net_opts.json ? cli_emit(found, err) : print(found, err)) < 0)
		return -1;
	return json_array_size(found) ? 1 : 0;
}

const struct cli_verb verb_check = {
	.name = "check",
	.help = "compare the box's network with what add made, and have the plugins do so; prints "
		"a "
		"line a difference, or with -j an array; exit status 1 if there is one",
	.run = check,
};
