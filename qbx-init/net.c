/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - the guest's interfaces, through rtnetlink(7) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "boot.h"
#include "io.h"

/* One request: a header, a family's own struct, then attributes. */
struct request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct ndmsg neighbour;
	};
	uint8_t attributes[256];
};

static void request_init(struct request *r, uint16_t type, uint16_t flags, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->head.nlmsg_type = type;
	r->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	r->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
}

static void add_attribute(struct request *r, uint16_t type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(r->head.nlmsg_len);
	struct rtattr *a = (struct rtattr *)((uint8_t *)r + at);

	if (at + RTA_SPACE(len) > sizeof(*r))
		BUG("netlink request too long");
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

/* Have the kernel do it. Return: 0, or -1 with errno. */
static int perform(int nl, struct request *r)
{
	uint8_t answer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *head = (struct nlmsghdr *)answer;
	struct nlmsgerr *e = NLMSG_DATA(head);
	ssize_t n;

	if (send(nl, r, r->head.nlmsg_len, 0) < 0)
		return -1;
	do
		n = recv(nl, answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	if ((size_t)n < NLMSG_LENGTH(sizeof(*e)) || head->nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return -1;
	}
	errno = -e->error;
	return e->error ? -1 : 0;
}

/* What becomes of an interface; what is not set stays. */
struct change {
	const char *name;
	unsigned mtu;
	const uint8_t *mac;
	bool up;
};

static int set_link(int nl, unsigned index, const struct change *to)
{
	struct request r;

	request_init(&r, RTM_NEWLINK, 0, sizeof(r.link));
	r.link.ifi_index = (int)index;
	if (to->up)
		r.link.ifi_flags = r.link.ifi_change = IFF_UP;
	if (to->name)
		add_attribute(&r, IFLA_IFNAME, to->name, strlen(to->name) + 1);
	if (to->mtu)
		add_attribute(&r, IFLA_MTU, &to->mtu, sizeof(to->mtu));
	if (to->mac)
		add_attribute(&r, IFLA_ADDRESS, to->mac, MAC_LEN);
	return perform(nl, &r);
}

static int add_address(int nl, unsigned index, const char *text)
{
	uint32_t nodad = IFA_F_NODAD, host, all;
	struct request r;
	struct addr a;

	if (addr_parse_cidr(text, &a) < 0)
		BUG("address was not checked");
	request_init(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(r.addr));
	r.addr.ifa_family = (uint8_t)a.family;
	r.addr.ifa_prefixlen = (uint8_t)a.prefix;
	r.addr.ifa_index = index;
	add_attribute(&r, IFA_LOCAL, a.bytes, a.len);
	add_attribute(&r, IFA_ADDRESS, a.bytes, a.len);
	if (a.family == AF_INET6) {
		add_attribute(&r, IFA_FLAGS, &nodad, sizeof(nodad));
	} else if (a.prefix < 31) {
		memcpy(&host, a.bytes, sizeof(host));
		all = host | htonl(UINT32_MAX >> a.prefix);
		add_attribute(&r, IFA_BROADCAST, &all, sizeof(all));
	}
	return perform(nl, &r);
}

static int add_route(int nl, unsigned index, const Route *route)
{
	struct request r;
	struct addr dst, gw;

	if (addr_parse_cidr(route->dst, &dst) < 0 ||
	    (route->gw[0] && addr_parse(route->gw, &gw) < 0))
		BUG("route was not checked");
	/* Bits below the prefix make the kernel refuse the route. */
	for (unsigned bit = dst.prefix; bit < dst.len * 8; bit++)
		dst.bytes[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	request_init(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.route));
	r.route.rtm_family = (uint8_t)dst.family;
	r.route.rtm_dst_len = (uint8_t)dst.prefix;
	r.route.rtm_table = RT_TABLE_MAIN;
	r.route.rtm_protocol = RTPROT_BOOT;
	r.route.rtm_type = RTN_UNICAST;
	r.route.rtm_scope = route->gw[0] ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	add_attribute(&r, RTA_OIF, &index, sizeof(index));
	if (dst.prefix)
		add_attribute(&r, RTA_DST, dst.bytes, dst.len);
	if (route->gw[0])
		add_attribute(&r, RTA_GATEWAY, gw.bytes, gw.len);
	return perform(nl, &r);
}

static int add_neighbour(int nl, unsigned index, const Neighbour *n)
{
	struct request r;
	struct addr a;
	uint8_t mac[MAC_LEN];

	if (addr_parse(n->address, &a) < 0 || mac_parse(n->mac, mac) < 0)
		BUG("neighbour was not checked");
	request_init(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.neighbour));
	r.neighbour.ndm_family = (uint8_t)a.family;
	r.neighbour.ndm_ifindex = (int)index;
	r.neighbour.ndm_state = NUD_PERMANENT;
	add_attribute(&r, NDA_DST, a.bytes, a.len);
	add_attribute(&r, NDA_LLADDR, mac, sizeof(mac));
	return perform(nl, &r);
}

/* The interface with that MAC address. Return: its index, or 0. */
static unsigned find_nic(const uint8_t mac[MAC_LEN])
{
	struct if_nameindex *all = if_nameindex();
	unsigned index = 0;

	for (struct if_nameindex *i = all; i && i->if_index && !index; i++) {
		char path[64], text[32] = "";
		_cleanup_fclose_ FILE *f = NULL;
		uint8_t its[MAC_LEN];

		snprintf(path, sizeof(path), "/sys/class/net/%s/address", i->if_name);
		f = fopen(path, "re");
		if (!f || !fgets(text, sizeof(text), f))
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (mac_parse(text, its) == 0 && !memcmp(its, mac, MAC_LEN))
			index = i->if_index;
	}
	if (all)
		if_freenameindex(all);
	return index;
}

/* Routes on the link first: gateways are reached over them. */
static int add_routes(int nl, unsigned index, const Link *l, bool with_gw, struct qbx_err *err)
{
	for (size_t i = 0; i < l->n_routes; i++) {
		const Route *r = l->routes[i];

		if ((r->gw[0] != '\0') == with_gw && add_route(nl, index, r) < 0)
			return err_sys(err, errno, "route %s via %s on %s", r->dst,
				       with_gw ? r->gw : "link", l->name);
	}
	return 0;
}

/* An interface has no such parameter while its MTU is too small for IPv6. Return: 0, or -1 with errno. */
static int write_parameter(const char *family, const char *name, const char *key, const char *value)
{
	_cleanup_close_ int fd = -1;
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	return io_write_all(fd, value, strlen(value));
}

/* A specification may have switched it off for all interfaces, those to come among them. */
static bool ipv6_is_off(void)
{
	_cleanup_close_ int fd =
		open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

/*
 * Tell those who knew another's MAC for one of our addresses, or another address for our MAC: the kernel
 * does so when an interface is given a MAC, be it the one that it has. It forgets all neighbours then.
 */
static int announce(int nl, unsigned index, const Link *l)
{
	uint8_t mac[MAC_LEN];

	if (mac_parse(l->set_mac[0] ? l->set_mac : l->mac, mac) < 0)
		BUG("MAC address was not checked");
	if (write_parameter("ipv4", "all", "arp_notify", "1") < 0 ||
	    write_parameter("ipv6", "all", "ndisc_notify", "1") < 0)
		return -1;
	return set_link(nl, index, &(struct change){ .mac = mac });
}

static int set_up(int nl, unsigned index, const Link *l, struct qbx_err *err)
{
	uint8_t mac[MAC_LEN];
	const struct change to = { .name = l->name,
				   .mtu = l->mtu,
				   .mac = mac_parse(l->set_mac, mac) == 0 ? mac : NULL };

	if (set_link(nl, index, &to) < 0)
		return err_sys(err, errno, "set name, MTU %u and address %s of interface %s",
			       l->mtu, l->set_mac[0] ? l->set_mac : l->mac, l->name);
	/* Only now, as the address that IPv6 makes itself is made of the MAC. */
	if (write_parameter("ipv6", l->name, "disable_ipv6", "0") < 0)
		return err_sys(err, errno, "enable IPv6 on %s", l->name);
	for (size_t i = 0; i < l->n_addresses; i++)
		if (add_address(nl, index, l->addresses[i]) < 0)
			return err_sys(err, errno, "address %s on %s", l->addresses[i], l->name);
	if (set_link(nl, index, &(struct change){ .up = true }) < 0)
		return err_sys(err, errno, "set interface %s up", l->name);
	if (announce(nl, index, l) < 0)
		return err_sys(err, errno, "announce the addresses of %s", l->name);
	for (size_t i = 0; i < l->n_neighbours; i++)
		if (add_neighbour(nl, index, l->neighbours[i]) < 0)
			return err_sys(err, errno, "neighbour %s on %s", l->neighbours[i]->address,
				       l->name);
	if (add_routes(nl, index, l, false, err) < 0 || add_routes(nl, index, l, true, err) < 0)
		return -1;
	/* That takes what has been given of it. */
	if (ipv6_is_off() && write_parameter("ipv6", l->name, "disable_ipv6", "1") < 0)
		return err_sys(err, errno, "disable IPv6 on %s", l->name);
	return 0;
}

/* Find every NIC, and give it a name that no other one is about to be given. */
static int find_all(int nl, const struct network *net, unsigned *indexes, struct qbx_err *err)
{
	uint8_t mac[MAC_LEN];
	char aside[IFNAMSIZ];

	for (size_t i = 0; i < net->n_links; i++) {
		const Link *l = net->links[i];

		if (mac_parse(l->mac, mac) < 0)
			BUG("MAC address was not checked");
		indexes[i] = find_nic(mac);
		if (!indexes[i] && mac_parse(l->set_mac, mac) == 0) /* it has that already */
			indexes[i] = find_nic(mac);
		if (!indexes[i])
			return err_code(err, EX_UNAVAILABLE,
					"no network interface has the address %s", l->mac);
		if (net->n_links == 1)
			break;
		snprintf(aside, sizeof(aside), "qbx%u", indexes[i]);
		if (set_link(nl, indexes[i], &(struct change){ .name = aside }) < 0)
			return err_sys(err, errno, "rename interface %s", l->name);
	}
	return 0;
}

int net_setup(const struct network *net, struct qbx_err *err)
{
	_cleanup_close_ int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned indexes[BOOT_LINKS_MAX] = { 0 };

	if (nl < 0)
		return err_sys(err, errno, "open rtnetlink");
	if (set_link(nl, if_nametoindex("lo"), &(struct change){ .up = true }) < 0)
		return err_sys(err, errno, "set interface lo up");
	if (find_all(nl, net, indexes, err) < 0)
		return -1;
	for (size_t i = 0; i < net->n_links; i++)
		if (set_up(nl, indexes[i], net->links[i], err) < 0)
			return -1;
	return 0;
}

/* ---- another network ---- */

static int remove_address(int nl, unsigned index, const struct ifaddrs *a)
{
	const struct in_addr *in = &((const struct sockaddr_in *)a->ifa_addr)->sin_addr;
	const struct in_addr *mask = &((const struct sockaddr_in *)a->ifa_netmask)->sin_addr;
	struct request r;

	request_init(&r, RTM_DELADDR, 0, sizeof(r.addr));
	r.addr.ifa_family = AF_INET;
	r.addr.ifa_index = index;
	r.addr.ifa_prefixlen = (uint8_t)__builtin_popcount(mask->s_addr);
	add_attribute(&r, IFA_LOCAL, in, sizeof(*in));
	return perform(nl, &r);
}

/* Of the interface of that name, by whatever label. */
static int remove_addresses(int nl, const char *name, unsigned index)
{
	size_t len = strlen(name);
	struct ifaddrs *all;
	int rc = 0;

	if (getifaddrs(&all) < 0)
		return -1;
	for (const struct ifaddrs *a = all; a && rc == 0; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_netmask && a->ifa_addr->sa_family == AF_INET &&
		    !strncmp(a->ifa_name, name, len) && strchr(":", a->ifa_name[len]) &&
		    remove_address(nl, index, a) < 0 && errno != EADDRNOTAVAIL)
			rc = -1;
	freeifaddrs(all);
	return rc;
}

/*
 * Nothing stays: of IPv6 when that is switched off, and of IPv4 routes and neighbours go with the last
 * address, which there has to be then. (192.0.0.8 is RFC 7600's, and nobody's.)
 *
 * The interface stays up. virtio_net of Linux 6.12 hears from its device that the link is up by work that
 * it queues when the interface goes up first, and that is lost if the interface goes down before it was
 * done, as may be soon after boot: there is no carrier any more then, and no frame is sent.
 */
static int clear_link(int nl, const char *name, struct qbx_err *err)
{
	unsigned index = if_nametoindex(name);

	if (write_parameter("ipv6", name, "disable_ipv6", "1") < 0)
		return err_sys(err, errno, "disable IPv6 on %s", name);
	if (add_address(nl, index, "192.0.0.8/32") < 0 && errno != EEXIST)
		return err_sys(err, errno, "a last address on %s", name);
	if (remove_addresses(nl, name, index) < 0)
		return err_sys(err, errno, "take the addresses of %s", name);
	return 0;
}

static int clear_all(int nl, struct qbx_err *err)
{
	struct if_nameindex *all = if_nameindex();
	int rc = 0;

	for (struct if_nameindex *i = all; i && i->if_index && rc == 0; i++)
		if (strcmp(i->if_name, "lo") != 0)
			rc = clear_link(nl, i->if_name, err);
	if (all)
		if_freenameindex(all);
	return rc;
}

int net_change(const struct network *net, struct qbx_err *err)
{
	_cleanup_close_ int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (nl < 0)
		return err_sys(err, errno, "open rtnetlink");
	return clear_all(nl, err) < 0 ? -1 : net_setup(net, err);
}
