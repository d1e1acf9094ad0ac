/* SPDX-License-Identifier: Apache-2.0 */
/* del.c - qbx-net del: give everything back */
#include <string.h>

#include "cache.h"
#include "cni.h"
#include "conf.h"
#include "join.h"
#include "lease.h"
#include "log.h"
#include "net.h"
#include "netns.h"
#include "networks.h"

/* The networks of a document that qbx-net has been at, each of the name that it had. */
static int recall_networks(const json_t *doc, struct lease *l, struct qbx_err *err)
{
	const json_t *net = json_object_get(doc, "net");
	json_t *links = json_object_get(net, "links"), *link;
	size_t i;

	const char *given = json_string_value(json_object_get(doc, "netns"));

	if (given)
		l->given = strdup(given);
	else if (networks_take(l, doc, err) < 0)
		return -1;
	if (!net)
		return 0;
	if (json_array_size(links) > NET_LINKS_MAX)
		return err_code(err, EX_DATAERR, "net.links: more than %u", NET_LINKS_MAX);
	while (l->nnets > json_array_size(links))
		attachment_free(&l->nets[--l->nnets]);
	json_array_foreach (links, i, link) {
		const char *name = json_string_value(json_object_get(link, "name"));
		const char *ifname = json_string_value(json_object_get(link, "ifname"));
		const char *network = json_string_value(json_object_get(link, "network"));

		ifname = ifname ? ifname : name; /* one name for both, once */
		if (!ifname || strlen(ifname) >= IFNAMSIZ)
			return err_code(err, EX_DATAERR, "net.links: no \"ifname\"");
		l->nnets = i + 1 > l->nnets ? i + 1 : l->nnets;
		l->nets[i].adopted = json_object_get(link, "nic") != NULL;
		snprintf(l->nets[i].ifname, IFNAMSIZ, "%s", ifname);
		l->nets[i].wanted =
			network ? network : json_string_value(json_object_get(net, "cni"));
	}
	return 0;
}

/* The attachments that the CNI cache knows of the box, in the order of their names. */
static int recall_cached(const struct config *cfg, const char *key, struct lease *l,
			 struct qbx_err *err)
{
	json_auto_t *all = cache_read(cfg, err);
	char path[NETNS_PATH_MAX];
	json_t *entry;
	size_t i;

	netns_path(path, key);
	json_array_foreach (all, i, entry) {
		const char *id = json_string_value(json_object_get(entry, "containerId"));
		const char *netns = json_string_value(json_object_get(entry, "netns"));

		/* Another runtime's container may have any id, but not this namespace. */
		if (strcmp(id, key) != 0 || !netns || strcmp(netns, path) != 0)
			continue;
		if (l->nnets < NET_LINKS_MAX && cache_attachment(entry, &l->nets[l->nnets]) == 0)
			l->nnets++;
	}
	return all ? 0 : -1;
}

static int recall_configured(const struct config *cfg, const json_t *doc, struct lease *l,
			     int timeout_ms, struct qbx_err *err)
{
	if (recall_networks(doc, l, err) < 0)
		return -1;
	for (size_t i = 0; i < l->nnets; i++) {
		struct attachment *at = &l->nets[i];

		if (l->given || at->adopted)
			continue;
		if (conf_find(cfg, at->wanted ? at->wanted : cfg->cni_network, &at->conf, err) < 0)
			return -1;
		if (at->conf.list &&
		    version_settle(&at->conf, cfg->cni_bin_dir, timeout_ms, err) < 0)
			return -1;
		at->started = conf_count(&at->conf);
	}
	return 0;
}

/*
 * What there is to undo. Without a lease that can be read the CNI cache must do, or else the document
 * and the present configuration: DEL is made to find what it is about by the container id. Without any
 * of them there is nothing. Return: 1, 0 if there is nothing, or -1 with @err and @l as far as it goes.
 */
static int recall(const struct config *cfg, const struct box *box, struct lease *l, int timeout_ms,
		  struct qbx_err *err)
{
	const json_t *net = json_object_get(box->doc, "net");
	int found = lease_read(cfg, box->key, l, err);

	if (found > 0)
		return found;
	if (found < 0) {
		log_warn("%s", err->msg);
		err_forget(err);
	}
	l->owned = !net || json_is_true(json_object_get(net, "owned"));
	if (recall_cached(cfg, box->key, l, err) < 0)
		return -1;
	if (l->nnets == 0 && found == 0 && !net)
		return 0;
	if (l->nnets == 0 && recall_configured(cfg, box->doc, l, timeout_ms, err) < 0)
		return -1;
	for (size_t i = 0; i < l->nnets; i++)
		snprintf(l->nets[i].tap, IFNAMSIZ, "tap%u", (unsigned)i);
	return 1;
}

static int take_back(struct cli *cli, const struct box *box, int timeout_ms, struct qbx_err *err)
{
	_cleanup_(lease_free) struct lease l = { 0 };
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };
	char path[NETNS_PATH_MAX];
	const struct join j = { .cfg = &cli->cfg,
				.key = box->key,
				.path = netns_path(path, box->key),
				.lease = &l,
				.lock = &lock,
				.ns = -1,
				.timeout_ms = timeout_ms };
	struct qbx_err left = { 0 };
	int found;

	if (!cli->dry_run && lease_lock(&cli->cfg, box->key, &lock, err) < 0)
		return -1;
	found = recall(&cli->cfg, box, &l, timeout_ms, err);
	if (found == 0)
		return 0;
	if (cli->dry_run)
		return found < 0 ? -1 : plan_del(&j, err);
	if (undo(&j, &left) < 0 && found > 0)
		*err = left;
	return err->code ? -1 : 0;
}

static int del(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	int timeout_ms = net_plugin_timeout(err);

	if (timeout_ms < 0 || cli_read_box(cli, &box, err) < 0 ||
	    take_back(cli, &box, timeout_ms, err) < 0)
		return -1;
	if (cli->dry_run)
		return 0;
	json_object_del(box.doc, "net");
	return cli_emit(box.doc, err);
}

const struct cli_verb verb_del = {
	.name = "del",
	.help = "undo add: DEL of the CNI chain, namespace and lease removed",
	.run = del,
};
