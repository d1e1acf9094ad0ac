/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - qbx-net sync: a namespace that somebody else has filled since add
 *
 * ctr(8) and nerdctl's hooks run CNI themselves when the VM is there already. The guest is to take the
 * place of what they have made, instead of what our own chains have. The VM holds our TAPs, so these
 * stay, and are redirected to other interfaces.
 *
 * A lease then has, in this order: what was adopted, TAPs without an interface, and what is still to be
 * undone of our own chains. It says so before anything changes, so that del finds all from there on,
 * and another sync goes on where one was killed.
 */
#include <errno.h>
#include <string.h>

#include "conf.h"
#include "join.h"
#include "lease.h"
#include "link.h"
#include "log.h"
#include "net.h"
#include "netns.h"
#include "networks.h"
#include "resolv.h"
#include "result.h"
#include "step.h"

#define NICS_MAX 16u /* of a namespace, ours and others' */

struct sync {
	struct cli *cli;
	struct box box;
	struct lease lease;
	struct phases phases;
	struct join join;
	struct nl_sock *sock;		  /* in the namespace */
	struct rtnl_link *nics[NICS_MAX]; /* that others have made, or we have adopted */
	size_t n;
	json_t *links; /* what is told of them */
};

static void sync_free(struct sync *s)
{
	nic_put(s->nics, &s->n);
	cleanup_nl_sockp(&s->sock);
	cleanup_closep(&s->join.ns);
	json_decref(s->links);
	json_decref(phase_take(&s->phases));
	lease_free(&s->lease);
	box_free(&s->box);
}

/* ---- what there is ---- */

static bool made_by(const struct attachment *at, const char *name)
{
	const char *inside[NICS_MAX];
	size_t n = result_inside(at->result, inside, NICS_MAX);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(inside[i], name))
			return true;
	return !strcmp(at->ifname, name);
}

static bool made_by_us(const struct lease *l, const char *name)
{
	for (size_t i = 0; i < l->nnets; i++)
		if (l->nets[i].conf.list && made_by(&l->nets[i], name))
			return true;
	return false;
}

static int find_nics(struct sync *s, struct qbx_err *err)
{
	struct rtnl_link *all[NICS_MAX];
	size_t n;

	if (nic_list(s->sock, all, NICS_MAX, &n, err) < 0)
		return err_wrap(err, "network namespace %s", s->join.path);
	for (size_t i = 0; i < n; i++) {
		if (made_by_us(&s->lease, rtnl_link_get_name(all[i])))
			rtnl_link_put(all[i]);
		else
			s->nics[s->n++] = all[i];
	}
	return 0;
}

/* The i-th attachment that has a TAP of ours, or NULL. */
static struct attachment *with_tap(struct lease *l, size_t i)
{
	for (size_t a = 0; a < l->nnets; a++)
		if (l->nets[a].tap[0] && i-- == 0)
			return &l->nets[a];
	return NULL;
}

static bool is_ours(const struct lease *l, const char *tap)
{
	for (size_t i = 0; tap && i < l->nnets; i++)
		if (!strcmp(l->nets[i].tap, tap))
			return true;
	return false;
}

/* There must be a TAP of ours for each. */
static int check_taps(struct sync *s, struct qbx_err *err)
{
	json_t *links = json_object_get(s->lease.net, "links"), *link;
	size_t i, taps = 0, chains = 0;

	json_array_foreach (links, i, link) {
		const char *tap = json_string_value(json_object_get(link, "tap"));

		if (is_ours(&s->lease, tap))
			continue;
		err_code(err, EX_UNAVAILABLE, "%s has an interface of somebody else's, %s",
			 s->join.path, rtnl_link_get_name(s->nics[0]));
		return err_hint(err,
				"the guest cannot take its place: a plugin made the VM's TAP, %s",
				tap ? tap : "?");
	}
	for (i = 0; i < s->lease.nnets; i++) {
		taps += s->lease.nets[i].tap[0] != '\0';
		chains += s->lease.nets[i].conf.list != NULL;
	}
	if (taps > NET_LINKS_MAX || chains > NET_LINKS_MAX)
		return err_code(err, EX_DATAERR, "lease of %s: too many networks", s->join.key);
	if (s->n <= taps)
		return 0;
	err_code(err, EX_UNAVAILABLE, "%s has %zu interfaces for the guest, whose VM has %zu",
		 s->join.path, s->n, taps);
	return err_hint(err, "a box gets as many as its document's \"networks\" lists");
}

/* The MAC of the VM's interface at that TAP. */
static const char *booted_with(const struct lease *l, const struct attachment *at)
{
	json_t *links = json_object_get(l->net, "links"), *link;
	size_t i;

	if (at->nic[0])
		return at->nic;
	json_array_foreach (links, i, link) {
		const char *tap = json_string_value(json_object_get(link, "tap"));
		const char *mac = json_string_value(json_object_get(link, "mac"));

		if (tap && mac && !strcmp(tap, at->tap))
			return mac;
	}
	return "";
}

static int describe(struct sync *s, size_t i, struct qbx_err *err)
{
	const struct attachment *at = with_tap(&s->lease, i);
	struct rtnl_link *nic = s->nics[i];
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = link_get(s->sock, at->tap, err);
	json_auto_t *link = NULL, *more = NULL;
	char mac[18];

	if (!tap || nic_fits(nic, err) < 0)
		return -1;
	link = nic_describe(s->sock, nic, err);
	if (!link)
		return -1;
	more = json_pack("{s:s, s:s, s:s, s:s, s:i}", "ifname", rtnl_link_get_name(nic), "tap",
			 at->tap, "mac", link_mac(nic, mac), "nic", booted_with(&s->lease, at),
			 "mtu", (int)rtnl_link_get_mtu(nic));
	if (!more || json_object_update(link, more) < 0 ||
	    tap_tell_queues(link, tap, s->lease.queues) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	result_drop_routes(link, s->links);
	json_array_append(s->links, link);
	return 0;
}

/* ---- what is done ---- */

static bool is_wanted(const struct sync *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(rtnl_link_get_name(s->nics[i]), name))
			return true;
	return false;
}

/* What was adopted, and is down or gone: first, as the lease will not name it any more. */
static int let_go(const struct sync *s, struct qbx_err *err)
{
	for (size_t i = 0; i < s->lease.nnets; i++) {
		const struct attachment *at = &s->lease.nets[i];

		if (!at->conf.list && at->ifname[0] && !is_wanted(s, at->ifname) &&
		    redirect_remove(s->sock, at->ifname, err) < 0)
			return -1;
	}
	return 0;
}

/* The lease as it will be. */
static int rearrange(struct sync *s, struct qbx_err *err)
{
	struct attachment nets[NET_ATTACHED_MAX] = { 0 };
	struct lease *l = &s->lease;
	const struct attachment *at;
	size_t n = 0;

	for (; (at = with_tap(l, n)); n++) {
		const char *name = n < s->n ? rtnl_link_get_name(s->nics[n]) : "";

		snprintf(nets[n].ifname, IFNAMSIZ, "%s", name);
		snprintf(nets[n].name, IFNAMSIZ, "%s", name);
		snprintf(nets[n].tap, IFNAMSIZ, "%s", at->tap);
		snprintf(nets[n].nic, sizeof(nets[n].nic), "%s", booted_with(l, at));
	}
	for (size_t i = 0; i < l->nnets; i++) {
		if (!l->nets[i].conf.list) {
			attachment_free(&l->nets[i]);
			continue;
		}
		nets[n] = l->nets[i];
		nets[n++].tap[0] = '\0';
	}
	memcpy(l->nets, nets, sizeof(nets));
	l->nnets = n;
	return lease_write(s->join.cfg, s->join.key, l, err);
}

static int wire(const struct sync *s, struct rtnl_link *nic, const char *name, struct qbx_err *err)
{
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = link_get(s->sock, name, err);
	unsigned mtu = rtnl_link_get_mtu(nic);

	if (!tap)
		return -1;
	if (rtnl_link_get_mtu(tap) != mtu) {
		if (link_up(s->sock, tap, mtu, err) < 0)
			return -1;
		step("mtu", name);
	}
	if (redirect_is(s->sock, nic, tap) && redirect_is(s->sock, tap, nic))
		return 0;
	if (redirect_remove(s->sock, name, err) < 0 ||
	    redirect_remove(s->sock, rtnl_link_get_name(nic), err) < 0)
		return -1;
	return redirect_pair(s->sock, nic, tap, err);
}

static int wire_all(const struct sync *s, struct qbx_err *err)
{
	for (size_t i = 0; i < s->lease.nnets; i++) {
		const char *tap = s->lease.nets[i].tap;

		if (!tap[0])
			break;
		if ((i < s->n ? wire(s, s->nics[i], tap, err)
			      : redirect_remove(s->sock, tap, err)) < 0)
			return -1;
	}
	return 0;
}

/* What cannot be undone now stays in the lease, and del tries again. */
static void undo_chains(struct sync *s)
{
	struct lease *l = &s->lease;

	for (size_t i = l->nnets; i-- > 0 && l->nets[i].conf.list;) {
		struct qbx_err e = { 0 };

		if (undo_chain(&s->join, i, &e) < 0) {
			log_warn("%s; qbx-net del tries again", e.msg);
			continue;
		}
		attachment_free(&l->nets[i]);
		l->nnets--;
		memmove(&l->nets[i], &l->nets[i + 1], (l->nnets - i) * sizeof(l->nets[0]));
		memset(&l->nets[l->nnets], 0, sizeof(l->nets[0]));
	}
}

static int answer(struct sync *s, struct qbx_err *err)
{
	json_t *net = json_pack("{s:s, s:b, s:n, s:O, s:o, s:o}", "netns", s->join.path, "owned",
				s->lease.owned, "cni", "links", s->links, "dns", resolv_host(),
				"t_us", phase_take(&s->phases));

	if (!net)
		return err_sys(err, ENOMEM, "describe the network");
	json_decref(s->lease.net);
	s->lease.net = net;
	return lease_write(s->join.cfg, s->join.key, &s->lease, err);
}

static int emit(struct sync *s, struct qbx_err *err)
{
	if (json_object_set(s->box.doc, "net", s->lease.net) < 0)
		return err_sys(err, ENOMEM, "describe the network");
	if (cli_emit(s->box.doc, err) < 0)
		return -1;
	step("answered", s->box.key);
	return 0;
}

static int take_over(struct sync *s, struct qbx_err *err)
{
	if (check_taps(s, err) < 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (describe(s, i, err) < 0)
			return -1;
	phase_mark(&s->phases, "describe");
	if (s->cli->dry_run)
		return plan_sync(&s->join, s->links, err);
	if (let_go(s, err) < 0 || rearrange(s, err) < 0 || wire_all(s, err) < 0)
		return -1;
	phase_mark(&s->phases, "adopt");
	undo_chains(s);
	phase_mark(&s->phases, "undo");
	return answer(s, err) < 0 ? -1 : emit(s, err);
}

static int open_box(struct sync *s, char path[NETNS_PATH_MAX], struct qbx_err *err)
{
	const char *key = s->box.key;
	int found = lease_read(&s->cli->cfg, key, &s->lease, err);

	if (found < 0)
		return -1;
	if (found == 0) {
		err_code(err, EX_UNAVAILABLE, "box %s has no network", key);
		return err_hint(err, "qbx-net add gives it one");
	}
	if (!s->lease.net) {
		err_code(err, EX_UNAVAILABLE, "the add or del of box %s has not finished", key);
		return err_hint(err, "qbx-net del takes back what there is");
	}
	s->join.path = netns_path_of(&s->lease, key, path);
	s->join.ns = netns_of(&s->lease, key, err);
	s->sock = s->join.ns < 0 ? NULL : netns_socket(s->join.ns, err);
	return s->sock ? 0 : -1;
}

static int sync_box(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };
	_cleanup_(sync_free) struct sync s = { .cli = cli, .links = json_array() };
	char path[NETNS_PATH_MAX];

	phase_begin(&s.phases);
	s.join = (struct join){ .cfg = &cli->cfg,
				.key = s.box.key,
				.lease = &s.lease,
				.phases = &s.phases,
				.lock = &lock,
				.ns = -1,
				.timeout_ms = net_plugin_timeout(err) };
	if (s.join.timeout_ms < 0 || cli_read_box(cli, &s.box, err) < 0 ||
	    (!cli->dry_run && lease_lock(&cli->cfg, s.box.key, &lock, err) < 0) ||
	    open_box(&s, path, err) < 0 || find_nics(&s, err) < 0)
		return -1;
	phase_mark(&s.phases, "prepare");
	if (s.n > 0)
		return take_over(&s, err);
	return cli->dry_run ? 0 : emit(&s, err);
}

const struct cli_verb verb_sync = {
	.name = "sync",
	.help = "let the guest take the place of what others have put into the namespace since "
		"add",
	.run = sync_box,
};
