/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redirect.c - join two interfaces like a wire
 *
 * An ingress qdisc on each, with one filter that matches everything and sends it out of the other:
 *
 *   tc qdisc add dev A ingress
 *   tc filter add dev A parent ffff: protocol all prio 1 u32 match u32 0 0 \
 *           action mirred egress redirect dev B
 *
 * Ingress comes before the namespace's stack, which therefore sees none of the guest's traffic. u32
 * rather than matchall, because more kernels have it.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/errno.h>
#include <netlink/route/act/mirred.h>
#include <netlink/route/action.h>
#include <netlink/route/classifier.h>
#include <netlink/route/cls/u32.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>
#include <string.h>

#include "link.h"
#include "step.h"

#define INGRESS_HANDLE TC_HANDLE(0xffffu, 0)

static void cleanup_qdiscp(struct rtnl_qdisc **q)
{
	rtnl_qdisc_put(*q);
}

static void cleanup_clsp(struct rtnl_cls **c)
{
	rtnl_cls_put(*c);
}

static void cleanup_actp(struct rtnl_act **a)
{
	if (*a)
		rtnl_act_put(*a);
}

static int add_ingress(struct nl_sock *sock, int from)
{
	_cleanup_(cleanup_qdiscp) struct rtnl_qdisc *q = rtnl_qdisc_alloc();
	int rc;

	if (!q)
		return -NLE_NOMEM;
	rtnl_tc_set_ifindex(TC_CAST(q), from);
	rtnl_tc_set_parent(TC_CAST(q), TC_H_INGRESS);
	rtnl_tc_set_handle(TC_CAST(q), INGRESS_HANDLE);
	rc = rtnl_tc_set_kind(TC_CAST(q), "ingress");
	return rc < 0 ? rc : rtnl_qdisc_add(sock, q, NLM_F_CREATE);
}

static struct rtnl_act *redirect_to(int to)
{
	struct rtnl_act *act = rtnl_act_alloc();

	if (!act || rtnl_tc_set_kind(TC_CAST(act), "mirred") < 0 ||
	    rtnl_mirred_set_action(act, TCA_EGRESS_REDIR) < 0 ||
	    rtnl_mirred_set_policy(act, TC_ACT_STOLEN) < 0 ||
	    rtnl_mirred_set_ifindex(act, (uint32_t)to) < 0) {
		cleanup_actp(&act);
		return NULL;
	}
	return act;
}

static int add_filter(struct nl_sock *sock, int from, int to)
{
	_cleanup_(cleanup_clsp) struct rtnl_cls *cls = rtnl_cls_alloc();
	_cleanup_(cleanup_actp) struct rtnl_act *act = redirect_to(to);
	int rc;

	if (!cls || !act)
		return -NLE_NOMEM;
	rtnl_tc_set_ifindex(TC_CAST(cls), from);
	rtnl_tc_set_parent(TC_CAST(cls), INGRESS_HANDLE);
	rtnl_cls_set_prio(cls, 1);
	rtnl_cls_set_protocol(cls, ETH_P_ALL);
	rc = rtnl_tc_set_kind(TC_CAST(cls), "u32");
	if (rc == 0)
		rc = rtnl_u32_add_key_uint32(cls, 0, 0, 0, 0);
	if (rc == 0)
		rc = rtnl_u32_set_cls_terminal(cls);
	if (rc == 0)
		rc = rtnl_u32_add_action(cls, act); /* takes a reference of its own */
	return rc < 0 ? rc : rtnl_cls_add(sock, cls, NLM_F_CREATE | NLM_F_EXCL);
}

static int redirect(struct nl_sock *sock, struct rtnl_link *from, struct rtnl_link *to,
		    struct qbx_err *err)
{
	int a = rtnl_link_get_ifindex(from), b = rtnl_link_get_ifindex(to);
	int rc = add_ingress(sock, a);

	step("ingress", rtnl_link_get_name(from));
	if (rc == 0)
		rc = add_filter(sock, a, b);
	step("redirected", rtnl_link_get_name(from));
	if (rc < 0)
		return err_code(err, EX_UNAVAILABLE, "redirect %s to %s: %s",
				rtnl_link_get_name(from), rtnl_link_get_name(to), nl_geterror(rc));
	return 0;
}

int redirect_remove(struct nl_sock *sock, const char *from, struct qbx_err *err)
{
	_cleanup_(cleanup_qdiscp) struct rtnl_qdisc *q = rtnl_qdisc_alloc();
	struct qbx_err none = { 0 };
	_cleanup_(cleanup_linkp) struct rtnl_link *link = link_get(sock, from, &none);
	int rc;

	if (!link)
		return 0;
	if (!q)
		return err_sys(err, ENOMEM, "redirect %s no more", from);
	rtnl_tc_set_ifindex(TC_CAST(q), rtnl_link_get_ifindex(link));
	rtnl_tc_set_parent(TC_CAST(q), TC_H_INGRESS);
	rtnl_tc_set_handle(TC_CAST(q), INGRESS_HANDLE);
	rc = rtnl_qdisc_delete(sock, q);
	step("unredirected", from);
	if (rc == 0 || rc == -NLE_OBJ_NOTFOUND || rc == -NLE_INVAL)
		return 0;
	return err_code(err, EX_UNAVAILABLE, "redirect %s no more: %s", from, nl_geterror(rc));
}

static bool leads_to(struct rtnl_cls *cls, int to)
{
	const char *kind = rtnl_tc_get_kind(TC_CAST(cls));
	struct rtnl_act *act = kind && !strcmp(kind, "u32") ? rtnl_u32_get_action(cls) : NULL;
	const char *does = act ? rtnl_tc_get_kind(TC_CAST(act)) : NULL;

	/* The action is the filter's own: no reference of ours. */
	return does && !strcmp(does, "mirred") && rtnl_mirred_get_action(act) == TCA_EGRESS_REDIR &&
	       rtnl_mirred_get_ifindex(act) == (uint32_t)to;
}

bool redirect_is(struct nl_sock *sock, struct rtnl_link *from, struct rtnl_link *to)
{
	struct nl_cache *all = NULL;
	bool is = false;

	if (rtnl_cls_alloc_cache(sock, rtnl_link_get_ifindex(from), INGRESS_HANDLE, &all) < 0)
		return false;
	for (struct nl_object *o = nl_cache_get_first(all); o && !is; o = nl_cache_get_next(o))
		is = leads_to((struct rtnl_cls *)o, rtnl_link_get_ifindex(to));
	nl_cache_free(all);
	return is;
}

int redirect_pair(struct nl_sock *sock, struct rtnl_link *a, struct rtnl_link *b,
		  struct qbx_err *err)
{
	if (redirect(sock, a, b, err) < 0 || redirect(sock, b, a, err) < 0) {
		if (!err->hint[0])
			err_hint(err, "the kernel needs sch_ingress, cls_u32 and act_mirred");
		return -1;
	}
	return 0;
}
