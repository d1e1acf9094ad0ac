/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - qbx-net status: what is known of a box's network */
#include <errno.h>
#include <string.h>

#include "conf.h"
#include "lease.h"
#include "net.h"
#include "netns.h"
#include "networks.h"

static json_t *networks(const struct lease *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->nnets; i++) {
		const struct attachment *at = &l->nets[i];
		json_t *link = json_array_get(json_object_get(l->net, "links"), i);

		if (!at->ifname[0]) /* a TAP that sync found nothing for */
			continue;
		json_array_append_new(all, json_pack("{s:s*, s:s, s:O*, s:O*, s:O*}", "name",
						     at->conf.name, "ifname", at->ifname, "tap",
						     json_object_get(link, "tap"), "mac",
						     json_object_get(link, "mac"), "addresses",
						     json_object_get(link, "addresses")));
	}
	return all;
}

json_t *status_report(const struct config *cfg, const struct box *box, struct qbx_err *err)
{
	_cleanup_(lease_free) struct lease l = { 0 };
	const char *why = "somebody is at work on it";
	struct qbx_err damaged = { 0 };
	int found = lease_read(cfg, box->key, &l, &damaged);
	enum life life = LIFE_BUSY;
	char path[NETNS_PATH_MAX];
	json_t *report;

	if (found == 0)
		return json_pack("{s:s, s:s, s:s}", "id", box->id, "namespace", box->namespace,
				 "state", "none");
	if (found < 0)
		return json_pack("{s:s, s:s, s:s, s:s}", "id", box->id, "namespace", box->namespace,
				 "state", "damaged", "why", err_clean(damaged.msg));
	if (!lease_busy(cfg, box->key))
		life = life_of(cfg, box->key, &l, &why);
	report = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "id", box->id, "namespace",
			   box->namespace, "state", life_name(life), "why", why, "netns",
			   netns_path_of(&l, box->key, path), "owned", l.owned, "networks",
			   networks(&l));
	if (!report)
		err_sys(err, ENOMEM, "status");
	return report;
}

static int status(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	json_auto_t *report = NULL;

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	report = status_report(&cli->cfg, &box, err);
	if (!report || cli_emit(report, err) < 0)
		return -1;
	return json_object_get(report, "why") ? 0 : 1;
}

const struct cli_verb verb_status = {
	.name = "status",
	.help = "print what is known of the box's network; exit status 1 if it has none",
	.run = status,
};
