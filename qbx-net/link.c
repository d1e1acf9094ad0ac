/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - the little that is done to interfaces, by route netlink */
#include "link.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <string.h>

struct rtnl_link *link_get(struct nl_sock *sock, const char *name, struct qbx_err *err)
{
	struct rtnl_link *link = NULL;
	int rc = rtnl_link_get_kernel(sock, 0, name, &link);

	if (rc == 0)
		return link;
	if (rc == -NLE_NODEV || rc == -NLE_OBJ_NOTFOUND)
		err_sys(err, ENODEV, "interface %s", name);
	else
		err_code(err, EX_UNAVAILABLE, "interface %s: %s", name, nl_geterror(rc));
	return NULL;
}

int link_up(struct nl_sock *sock, struct rtnl_link *link, unsigned mtu, struct qbx_err *err)
{
	_cleanup_(cleanup_linkp) struct rtnl_link *change = rtnl_link_alloc();
	int rc;

	if (!change)
		return err_sys(err, ENOMEM, "set %s up", rtnl_link_get_name(link));
	if (mtu)
		rtnl_link_set_mtu(change, mtu);
	rtnl_link_set_flags(change, IFF_UP);
	rc = rtnl_link_change(sock, link, change, 0);
	if (rc < 0)
		return err_code(err, EX_UNAVAILABLE, "set %s up: %s", rtnl_link_get_name(link),
				nl_geterror(rc));
	return 0;
}

const char *link_mac(struct rtnl_link *link, char mac[18])
{
	struct nl_addr *a = rtnl_link_get_addr(link);
	const unsigned char *m = a && nl_addr_get_len(a) == 6 ? nl_addr_get_binary_addr(a) : NULL;

	mac[0] = '\0';
	if (m)
		snprintf(mac, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
			 m[5]);
	return mac;
}

bool link_is_tap(struct rtnl_link *link)
{
	const char *kind = rtnl_link_get_type(link);

	/* One kind for both; a TUN has no link layer. */
	return kind && !strcmp(kind, "tun") && rtnl_link_get_arptype(link) == ARPHRD_ETHER;
}
