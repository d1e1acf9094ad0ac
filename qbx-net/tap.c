/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c - the VM's end of the wire */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <netlink/errno.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>
#include <string.h>
#include <sys/ioctl.h>

#include "link.h"
#include "log.h"
#include "netns.h"
#include "result.h"
#include "step.h"

#define INSIDE_MAX 16

/* The namespace's stack has no business on the TAP, nor IPv6 greetings for the guest. */
static void hush_ipv6(struct nl_sock *sock, struct rtnl_link *tap)
{
	_cleanup_(cleanup_linkp) struct rtnl_link *change = rtnl_link_alloc();
	int rc = change ? rtnl_link_inet6_set_addr_gen_mode(change, IN6_ADDR_GEN_MODE_NONE)
			: -NLE_NOMEM;

	if (rc == 0)
		rc = rtnl_link_change(sock, tap, change, 0);
	if (rc < 0) /* a kernel without IPv6 */
		log_debug("no IPv6 address on %s: %s", rtnl_link_get_name(tap), nl_geterror(rc));
}

/*
 * A device that can have several queues is one of 256 (MAX_TAP_QUEUES), and each would get a qdisc of its
 * own when the device goes up. Measured with 6.18 and pfifo_fast: 6.5 MiB a TAP, and 0.3 MiB with this;
 * one of a single queue takes 0.1. Nothing is lost by it: a TAP drops what its reader is too slow for.
 */
static void have_no_qdiscs(struct nl_sock *sock, struct rtnl_link *tap)
{
	struct rtnl_qdisc *q = rtnl_qdisc_alloc();
	int rc = -NLE_NOMEM;

	if (q) {
		rtnl_tc_set_ifindex(TC_CAST(q), rtnl_link_get_ifindex(tap));
		rtnl_tc_set_parent(TC_CAST(q), TC_H_ROOT);
		rc = rtnl_tc_set_kind(TC_CAST(q), "noqueue");
		if (rc == 0)
			rc = rtnl_qdisc_add(sock, q, NLM_F_CREATE);
		rtnl_qdisc_put(q);
	}
	if (rc < 0) /* it works as well, and takes more memory */
		log_debug("no qdisc noqueue on %s: %s", rtnl_link_get_name(tap), nl_geterror(rc));
}

struct rtnl_link *tap_create(int ns, struct nl_sock *sock, const char *name, unsigned mtu,
			     unsigned queues, struct qbx_err *err)
{
	_cleanup_close_ int fd = netns_open_file(ns, "/dev/net/tun", O_RDWR, err);
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;
	struct ifreq ifr = { 0 };

	if (fd < 0)
		return NULL;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err_sys(err, errno, "create %s", name);
		return NULL;
	}
	step("tap", name);
	tap = link_get(sock, name, err);
	if (!tap)
		return NULL;
	hush_ipv6(sock, tap);
	if (queues > 1)
		have_no_qdiscs(sock, tap);
	if (link_up(sock, tap, mtu, err) < 0)
		return NULL;
	/* Last, as until now closing the descriptor takes the device away. */
	if (ioctl(fd, TUNSETPERSIST, 1) < 0) {
		err_sys(err, errno, "keep %s", name);
		return NULL;
	}
	step("tap-kept", name);
	if (mtu)
		rtnl_link_set_mtu(tap, mtu);
	return take_ptr(tap);
}

bool tap_is_multiqueue(struct rtnl_link *tap)
{
	return rtnl_link_get_num_tx_queues(tap) > 1;
}

int tap_tell_queues(json_t *link, struct rtnl_link *tap, unsigned queues)
{
	if (!tap_is_multiqueue(tap))
		return 0;
	return json_object_set_new(link, "queues", json_integer((json_int_t)queues));
}

int tap_remove(int ns, const char *name, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = netns_socket(ns, err);
	_cleanup_(cleanup_linkp) struct rtnl_link *tap = NULL;
	struct qbx_err none = { 0 };
	int rc;

	if (!sock)
		return -1;
	tap = link_get(sock, name, &none);
	if (!tap && none.sys == ENODEV)
		return 0;
	if (!tap) {
		*err = none;
		return -1;
	}
	rc = rtnl_link_delete(sock, tap);
	if (rc < 0 && rc != -NLE_NODEV)
		return err_code(err, EX_UNAVAILABLE, "remove %s: %s", name, nl_geterror(rc));
	step("tap-removed", name);
	return 0;
}

struct rtnl_link *tap_find(struct nl_sock *sock, const json_t *result)
{
	const char *names[INSIDE_MAX];
	size_t n = result_inside(result, names, INSIDE_MAX);

	for (size_t i = n; i-- > 0;) { /* a TAP plugin comes last */
		struct qbx_err none = { 0 };
		_cleanup_(cleanup_linkp) struct rtnl_link *link = link_get(sock, names[i], &none);

		if (link && link_is_tap(link))
			return take_ptr(link);
	}
	return NULL;
}
