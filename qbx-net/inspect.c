/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - is a network of a box in the kernel what its lease says?
 *
 * What is found is told, and nothing is changed. Where the chain made the TAP itself, only that is ours
 * to look at: what became of the addresses beside it is that plugin's own affair.
 */
#include "inspect.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdarg.h>
#include <string.h>

#include "link.h"
#include "networks.h"
#include "result.h"

static void cleanup_cachep(struct nl_cache **c)
{
	if (*c)
		nl_cache_free(*c);
}

static void cleanup_addrp(struct nl_addr **a)
{
	nl_addr_put(*a);
}

void differs(json_t *found, const char *about, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_clean(text);
	json_array_append_new(found, json_pack("{s:s, s:s}", "about", about, "difference", text));
}

static struct nl_addr *parse(const char *text)
{
	struct nl_addr *a = NULL;

	return text && nl_addr_parse(text, AF_UNSPEC, &a) == 0 ? a : NULL;
}

static bool same_prefix(const struct nl_addr *a, const struct nl_addr *b)
{
	/* "Everywhere" has no address in it when the kernel says it. */
	if (nl_addr_get_prefixlen(a) == 0 && nl_addr_get_prefixlen(b) == 0)
		return nl_addr_get_family(a) == nl_addr_get_family(b);
	return nl_addr_cmp(a, b) == 0;
}

static bool has_address(struct nl_cache *all, int ifindex, const struct nl_addr *want)
{
	for (struct nl_object *o = nl_cache_get_first(all); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;
		struct nl_addr *local = rtnl_addr_get_local(a);

		if (rtnl_addr_get_ifindex(a) == ifindex && local && nl_addr_cmp(local, want) == 0)
			return true;
	}
	return false;
}

static void inspect_addresses(struct nl_sock *sock, const char *name, int ifindex,
			      const json_t *addresses, json_t *found)
{
	_cleanup_(cleanup_cachep) struct nl_cache *all = NULL;
	json_t *address;
	size_t i;
	int rc = rtnl_addr_alloc_cache(sock, &all);

	if (rc < 0) {
		differs(found, name, "addresses: %s", nl_geterror(rc));
		return;
	}
	json_array_foreach ((json_t *)addresses, i, address) {
		_cleanup_(cleanup_addrp) struct nl_addr *want = parse(json_string_value(address));

		if (!want || !has_address(all, ifindex, want))
			differs(found, name, "address %s is missing", json_string_value(address));
	}
}

/* Routes that ought to be there. */
struct wanted {
	int ifindex;
	size_t n;
	struct {
		struct nl_addr *dst, *gw; /* gw NULL: on the link */
		bool there;
	} * route;
};

static void cleanup_wanted(struct wanted *w)
{
	for (size_t i = 0; i < w->n; i++) {
		nl_addr_put(w->route[i].dst);
		nl_addr_put(w->route[i].gw);
	}
	free(w->route);
}

static bool leads(struct rtnl_route *r, int ifindex, const struct nl_addr *gw)
{
	for (int n = 0; n < rtnl_route_get_nnexthops(r); n++) {
		struct rtnl_nexthop *hop = rtnl_route_nexthop_n(r, n);
		struct nl_addr *via = rtnl_route_nh_get_gateway(hop);

		if (rtnl_route_nh_get_ifindex(hop) == ifindex &&
		    (gw ? via && nl_addr_cmp(via, gw) == 0 : !via))
			return true;
	}
	return false;
}

static int see_route(struct nl_msg *msg, void *arg)
{
	struct wanted *w = arg;
	struct rtnl_route *r = NULL;

	if (rtnl_route_parse(nlmsg_hdr(msg), &r) < 0)
		return NL_SKIP;
	for (size_t i = 0; i < w->n; i++)
		if (w->route[i].dst && same_prefix(rtnl_route_get_dst(r), w->route[i].dst) &&
		    leads(r, w->ifindex, w->route[i].gw))
			w->route[i].there = true;
	rtnl_route_put(r);
	return NL_OK;
}

/* Not by a cache of libnl: that holds one of two routes to the same place. */
static int see_routes(struct nl_sock *sock, struct wanted *w)
{
	struct rtmsg everything = { .rtm_family = AF_UNSPEC };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int rc =
		cb ? nl_send_simple(sock, RTM_GETROUTE, NLM_F_DUMP, &everything, sizeof(everything))
		   : -NLE_NOMEM;

	if (rc >= 0) {
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, see_route, w);
		rc = nl_recvmsgs(sock, cb);
	}
	nl_cb_put(cb);
	return rc;
}

static void inspect_routes(struct nl_sock *sock, const char *name, int ifindex,
			   const json_t *routes, json_t *found)
{
	size_t n = json_array_size(routes), i;
	_cleanup_(cleanup_wanted) struct wanted w = { .ifindex = ifindex };
	json_t *route;
	int rc;

	if (n == 0)
		return;
	w.route = calloc(n, sizeof(*w.route));
	w.n = w.route ? n : 0;
	for (i = 0; i < w.n; i++) {
		route = json_array_get(routes, i);
		w.route[i].dst = parse(json_string_value(json_object_get(route, "dst")));
		w.route[i].gw = parse(json_string_value(json_object_get(route, "gw")));
	}
	rc = w.n ? see_routes(sock, &w) : -NLE_NOMEM;
	if (rc < 0)
		differs(found, name, "routes: %s", nl_geterror(rc));
	json_array_foreach ((json_t *)routes, i, route) {
		const char *gw = json_string_value(json_object_get(route, "gw"));

		if (rc >= 0 && !w.route[i].there)
			differs(found, name, "route to %s%s%s is missing",
				json_string_value(json_object_get(route, "dst")), gw ? " via " : "",
				gw ? gw : "");
	}
}

static struct rtnl_link *inspect_link(struct nl_sock *sock, const char *name, json_int_t mtu,
				      json_t *found)
{
	struct qbx_err e = { 0 };
	struct rtnl_link *link = link_get(sock, name, &e);

	if (!link) {
		differs(found, name, "%s", e.sys == ENODEV ? "is missing" : e.msg);
		return NULL;
	}
	if (!(rtnl_link_get_flags(link) & IFF_UP))
		differs(found, name, "is down");
	if (rtnl_link_get_mtu(link) != mtu)
		differs(found, name, "MTU is %u, not %lld", rtnl_link_get_mtu(link),
			(long long)mtu);
	return link;
}

static void inspect_pair(struct nl_sock *sock, struct rtnl_link *a, struct rtnl_link *b,
			 json_t *found)
{
	if (!redirect_is(sock, a, b))
		differs(found, rtnl_link_get_name(a), "is not redirected to %s",
			rtnl_link_get_name(b));
	if (!redirect_is(sock, b, a))
		differs(found, rtnl_link_get_name(b), "is not redirected to %s",
			rtnl_link_get_name(a));
}

/* The interface that the guest stands for. */
static struct rtnl_link *inspect_nic(struct nl_sock *sock, const struct attachment *at,
				     const json_t *said, const char *id, json_t *found)
{
	json_int_t mtu = json_integer_value(json_object_get(said, "mtu"));
	const char *mac = json_string_value(json_object_get(said, "mac"));
	struct rtnl_link *nic = inspect_link(sock, at->ifname, mtu, found);
	struct qbx_err e = { 0 };
	json_auto_t *like = at->result ? result_link(at->result, at->ifname, id, &e)
				       : json_incref((json_t *)said);
	char now[18];

	if (!nic)
		return NULL;
	if (!mac || strcmp(mac, link_mac(nic, now)) != 0)
		differs(found, at->ifname, "MAC is %s, not %s", link_mac(nic, now),
			mac ? mac : "known");
	inspect_addresses(sock, at->ifname, rtnl_link_get_ifindex(nic),
			  json_object_get(like, "addresses"), found);
	inspect_routes(sock, at->ifname, rtnl_link_get_ifindex(nic),
		       json_object_get(like, "routes"), found);
	return nic;
}

void inspect_network(struct nl_sock *sock, const struct attachment *at, const json_t *said,
		     const char *id, json_t *found)
{
	const char *name = json_string_value(json_object_get(said, "tap"));
	json_int_t mtu = json_integer_value(json_object_get(said, "mtu"));
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL, *nic = NULL;

	if (!name) {
		differs(found, at->ifname, "its TAP is not known");
		return;
	}
	tap = inspect_link(sock, name, mtu, found);
	if (tap && !link_is_tap(tap))
		differs(found, name, "is no TAP");
	else if (tap && tap_is_multiqueue(tap) != (json_object_get(said, "queues") != NULL))
		differs(found, name, "is %sa device of several queues",
			tap_is_multiqueue(tap) ? "" : "not ");
	if (strcmp(at->tap, name) != 0)
		return;
	nic = inspect_nic(sock, at, said, id, found);
	if (nic && tap)
		inspect_pair(sock, nic, tap, found);
}
