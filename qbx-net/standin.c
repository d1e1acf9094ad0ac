/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standin.c - a namespace in place of one that has gone
 *
 * DEL is allowed without a namespace, but plugins then give back less: bridge and ptp look for the
 * addresses that their masquerading was for on the interface itself. So they get one that looks like
 * it, for as long as that takes.
 */
#include <errno.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <stdint.h>

#include "conf.h"
#include "lease.h"
#include "link.h"
#include "log.h"
#include "netns.h"
#include "networks.h"
#include "result.h"

static int add_address(struct nl_sock *sock, struct rtnl_link *link, const char *cidr)
{
	struct rtnl_addr *address = rtnl_addr_alloc();
	struct nl_addr *local = NULL;
	int rc = address ? nl_addr_parse(cidr, AF_UNSPEC, &local) : -NLE_NOMEM;

	if (rc == 0) {
		rtnl_addr_set_ifindex(address, rtnl_link_get_ifindex(link));
		rc = rtnl_addr_set_local(address, local);
	}
	if (rc == 0)
		rc = rtnl_addr_add(sock, address, 0);
	nl_addr_put(local);
	rtnl_addr_put(address);
	return rc;
}

/* The addresses that an attachment has been given; NULL for none that is known. */
static json_t *addresses_of(const struct attachment *at, const char *key)
{
	struct qbx_err none = { 0 };
	json_auto_t *like = result_link(at->result, at->ifname, key, &none);

	return json_incref(json_object_get(like, "addresses"));
}

size_t standin_addresses(const struct attachment *at, const char *key)
{
	json_auto_t *all = addresses_of(at, key);

	return json_array_size(all);
}

void standin_dress(int ns, const struct attachment *at, const char *key, size_t first, size_t n)
{
	json_auto_t *all = addresses_of(at, key);
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = NULL;
	_cleanup_(cleanup_linkp) struct rtnl_link *link = NULL;
	struct qbx_err e = { 0 };

	if (tap_remove(ns, at->ifname, &e) == 0)
		sock = netns_socket(ns, &e);
	link = sock ? tap_create(ns, sock, at->ifname, 0, 1, &e) : NULL;
	if (!link) {
		log_debug("%s", e.msg);
		return;
	}
	for (size_t i = first; i < first + n && i < json_array_size(all); i++) {
		const char *cidr = json_string_value(json_array_get(all, i));
		int rc = add_address(sock, link, cidr);

		if (rc < 0)
			log_debug("%s: %s", cidr, nl_geterror(rc));
	}
}

int standin_create(const struct config *cfg, const char *key, const char *path, struct lease *l)
{
	struct qbx_err e = { 0 };
	_cleanup_close_ int ns = -1;
	bool wanted = false;

	for (size_t i = 0; i < l->nnets; i++)
		wanted = wanted || (l->nets[i].started && l->nets[i].result);
	if (!wanted || (l->standin && netns_remove(path, &e) < 0)) /* of one that was killed */
		return -1;
	l->owned = l->standin = true; /* this one is ours, and goes with the lease */
	if (lease_write(cfg, key, l, &e) == 0 && netns_create(path, &e) == 0)
		ns = netns_open(path, &e);
	if (ns < 0) {
		log_debug("no namespace to undo the network in: %s", e.msg);
		return -1;
	}
	for (size_t i = 0; i < l->nnets; i++)
		if (l->nets[i].conf.list)
			standin_dress(ns, &l->nets[i], key, 0, SIZE_MAX / 2);
	return take_fd(&ns);
}
