/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.c - interfaces that somebody else has put into a namespace, and what is configured on them
 *
 * Told as the kernel has it: addresses, the routes of the main table, and neighbours that are not asked
 * for. What the kernel makes by itself of an address, the guest's will make too.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "log.h"
#include "networks.h"

#define TEXT_MAX 64 /* of an address with its prefix */

static bool failed(struct qbx_err *err, const char *what, int rc)
{
	if (rc < 0)
		err_code(err, EX_UNAVAILABLE, "list %s: %s", what, nl_geterror(rc));
	return rc < 0;
}

/* ---- interfaces ---- */

/* One that a guest can take the place of: Ethernet, up, no part of another, and no VM's already. */
static bool is_nic(struct rtnl_link *l)
{
	unsigned flags = rtnl_link_get_flags(l);

	return rtnl_link_get_arptype(l) == ARPHRD_ETHER && flags & IFF_UP &&
	       !(flags & IFF_LOOPBACK) && rtnl_link_get_master(l) == 0 && !link_is_tap(l);
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(rtnl_link_get_name(*(struct rtnl_link *const *)a),
			  rtnl_link_get_name(*(struct rtnl_link *const *)b));
}

int nic_list(struct nl_sock *sock, struct rtnl_link **nics, size_t max, size_t *n,
	     struct qbx_err *err)
{
	_cleanup_(cleanup_nl_cachep) struct nl_cache *all = NULL;

	*n = 0;
	if (failed(err, "interfaces", rtnl_link_alloc_cache(sock, AF_UNSPEC, &all)))
		return -1;
	for (struct nl_object *o = nl_cache_get_first(all); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *l = (struct rtnl_link *)o;

		if (!is_nic(l))
			continue;
		if (*n == max) {
			nic_put(nics, n);
			return err_code(err, EX_UNAVAILABLE, "more than %zu interfaces", max);
		}
		nl_object_get(o);
		nics[(*n)++] = l;
	}
	qsort(nics, *n, sizeof(struct rtnl_link *), by_name);
	return 0;
}

void nic_put(struct rtnl_link **nics, size_t *n)
{
	while (*n > 0)
		rtnl_link_put(nics[--*n]);
}

int nic_fits(struct rtnl_link *nic, struct qbx_err *err)
{
	const char *name = rtnl_link_get_name(nic);
	char mac[18];

	if (!link_mac(nic, mac)[0])
		return err_code(err, EX_UNAVAILABLE, "%s is no Ethernet interface", name);
	if (!(rtnl_link_get_flags(nic) & IFF_NOARP))
		return 0;
	err_code(err, EX_UNAVAILABLE, "%s does no ARP, so a guest could not find anybody", name);
	return err_hint(err, "ipvlan can be used in mode l2 only");
}

/* ---- addresses ---- */

static int add_addresses(struct nl_sock *sock, int ifindex, json_t *addresses, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_cachep) struct nl_cache *all = NULL;

	if (failed(err, "addresses", rtnl_addr_alloc_cache(sock, &all)))
		return -1;
	for (struct nl_object *o = nl_cache_get_first(all); o; o = nl_cache_get_next(o)) {
		struct rtnl_addr *a = (struct rtnl_addr *)o;
		struct nl_addr *local = rtnl_addr_get_local(a);
		char text[TEXT_MAX];

		if (rtnl_addr_get_ifindex(a) != ifindex || !local ||
		    (rtnl_addr_get_family(a) == AF_INET6 &&
		     rtnl_addr_get_scope(a) == RT_SCOPE_LINK))
			continue;
		nl_addr2str(local, text, sizeof(text));
		if (!strchr(text, '/')) /* libnl leaves a host's prefix out */
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%u",
				 nl_addr_get_prefixlen(local));
		json_array_append_new(addresses, json_string(text));
	}
	return 0;
}

/* ---- routes ---- */

/* Of those to one place the kernel takes the one of the least metric, and the guest is told that. */
struct best {
	json_t *routes;
	uint32_t metrics[NET_ROUTES_MAX];
};

static size_t find_route(const json_t *routes, const char *dst)
{
	json_t *r;
	size_t i;

	json_array_foreach ((json_t *)routes, i, r)
		if (!strcmp(json_string_value(json_object_get(r, "dst")), dst))
			return i;
	return json_array_size(routes);
}

static int take_route(struct best *b, const char *dst, const char *gw, uint32_t metric,
		      struct qbx_err *err)
{
	size_t i = find_route(b->routes, dst);
	json_t *route = json_pack("{s:s, s:s*}", "dst", dst, "gw", gw);

	if (i >= NET_ROUTES_MAX) {
		json_decref(route);
		return err_code(err, EX_UNAVAILABLE, "more than %u routes", NET_ROUTES_MAX);
	}
	if (i == json_array_size(b->routes))
		json_array_append_new(b->routes, route);
	else if (metric < b->metrics[i])
		json_array_set_new(b->routes, i, route);
	else
		json_decref(route);
	if (i + 1 == json_array_size(b->routes) || metric < b->metrics[i])
		b->metrics[i] = metric;
	return 0;
}

static const char *destination(struct rtnl_route *r, char text[TEXT_MAX])
{
	struct nl_addr *dst = rtnl_route_get_dst(r);

	if (nl_addr_get_prefixlen(dst) == 0)
		return rtnl_route_get_family(r) == AF_INET6 ? "::/0" : "0.0.0.0/0";
	nl_addr2str(dst, text, TEXT_MAX);
	if (!strchr(text, '/'))
		snprintf(text + strlen(text), TEXT_MAX - strlen(text), "/%u",
			 nl_addr_get_prefixlen(dst));
	return text;
}

static bool is_told(struct rtnl_route *r)
{
	return rtnl_route_get_table(r) == RT_TABLE_MAIN && rtnl_route_get_type(r) == RTN_UNICAST &&
	       rtnl_route_get_protocol(r) != RTPROT_KERNEL &&
	       (rtnl_route_get_family(r) == AF_INET || rtnl_route_get_family(r) == AF_INET6) &&
	       !(rtnl_route_get_flags(r) & RTM_F_CLONED);
}

static int add_routes(struct nl_sock *sock, int ifindex, json_t *routes, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_cachep) struct nl_cache *all = NULL;
	struct best best = { .routes = routes };

	if (failed(err, "routes", rtnl_route_alloc_cache(sock, AF_UNSPEC, 0, &all)))
		return -1;
	for (struct nl_object *o = nl_cache_get_first(all); o; o = nl_cache_get_next(o)) {
		struct rtnl_route *r = (struct rtnl_route *)o;
		char dst[TEXT_MAX], gw[TEXT_MAX];

		for (int i = 0; is_told(r) && i < rtnl_route_get_nnexthops(r); i++) {
			struct rtnl_nexthop *hop = rtnl_route_nexthop_n(r, i);
			struct nl_addr *via = rtnl_route_nh_get_gateway(hop);

			if (rtnl_route_nh_get_ifindex(hop) == ifindex &&
			    take_route(&best, destination(r, dst),
				       via ? nl_addr2str(via, gw, sizeof(gw)) : NULL,
				       rtnl_route_get_priority(r), err) < 0)
				return -1;
		}
	}
	return 0;
}

/* ---- neighbours ---- */

static int add_neighbours(struct nl_sock *sock, int ifindex, json_t *neighbours,
			  struct qbx_err *err)
{
	_cleanup_(cleanup_nl_cachep) struct nl_cache *all = NULL;

	if (failed(err, "neighbours", rtnl_neigh_alloc_cache(sock, &all)))
		return -1;
	for (struct nl_object *o = nl_cache_get_first(all); o; o = nl_cache_get_next(o)) {
		struct rtnl_neigh *n = (struct rtnl_neigh *)o;
		struct nl_addr *dst = rtnl_neigh_get_dst(n), *mac = rtnl_neigh_get_lladdr(n);
		char address[TEXT_MAX], lladdr[TEXT_MAX];

		if (rtnl_neigh_get_ifindex(n) != ifindex ||
		    !(rtnl_neigh_get_state(n) & NUD_PERMANENT) || !dst || !mac ||
		    nl_addr_get_len(mac) != 6)
			continue;
		json_array_append_new(neighbours,
				      json_pack("{s:s, s:s}", "address",
						nl_addr2str(dst, address, sizeof(address)), "mac",
						nl_addr2str(mac, lladdr, sizeof(lladdr))));
	}
	return 0;
}

json_t *nic_describe(struct nl_sock *sock, struct rtnl_link *nic, struct qbx_err *err)
{
	json_auto_t *addresses = json_array(), *routes = json_array(), *neighbours = json_array();
	int index = rtnl_link_get_ifindex(nic);
	json_t *link;

	if (add_addresses(sock, index, addresses, err) < 0 ||
	    add_routes(sock, index, routes, err) < 0 ||
	    add_neighbours(sock, index, neighbours, err) < 0) {
		err_wrap(err, "interface %s", rtnl_link_get_name(nic));
		return NULL;
	}
	link = json_pack("{s:s, s:O, s:O, s:O}", "name", rtnl_link_get_name(nic), "addresses",
			 addresses, "routes", routes, "neighbours", neighbours);
	if (!link)
		err_sys(err, ENOMEM, "describe the network");
	return link;
}
