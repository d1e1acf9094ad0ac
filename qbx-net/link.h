/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - interfaces: libnl with our errors */
#ifndef QBX_NET_LINK_H
#define QBX_NET_LINK_H

#include <jansson.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* link.c */
static inline void cleanup_nl_sockp(struct nl_sock **s)
{
	if (*s)
		nl_socket_free(*s);
}

static inline void cleanup_linkp(struct rtnl_link **l)
{
	if (*l)
		rtnl_link_put(*l);
}

static inline void cleanup_nl_cachep(struct nl_cache **c)
{
	if (*c)
		nl_cache_free(*c);
}

/** link_get() - an interface by name; rtnl_link_put(). NULL with @err (err->sys ENODEV: none). */
struct rtnl_link *link_get(struct nl_sock *sock, const char *name,
			   struct qbx_err *err) _must_check_;

/** link_up() - set it up, with @mtu unless that is 0. Return: 0, or -1 with @err. */
int link_up(struct nl_sock *sock, struct rtnl_link *link, unsigned mtu,
	    struct qbx_err *err) _must_check_;

/** link_mac() - its hardware address as text. Return: @mac, "" if it has none of six bytes. */
const char *link_mac(struct rtnl_link *link, char mac[18]);

/** link_is_tap() - is it a TAP device (not a TUN)? */
bool link_is_tap(struct rtnl_link *link);

/* tap.c */

/**
 * tap_create() - a persistent TAP called @name in the namespace, up
 * @queues: of more than one, the kernel makes a device that can have up to 256
 * Frames carry a virtio-net header, so that offloads pass from one guest to another.
 * Return: the link, rtnl_link_put(), or NULL with @err.
 */
struct rtnl_link *tap_create(int ns, struct nl_sock *sock, const char *name, unsigned mtu,
			     unsigned queues, struct qbx_err *err) _must_check_;

/** tap_is_multiqueue() - has it to be opened queue by queue (IFF_MULTI_QUEUE), be it a single one? */
bool tap_is_multiqueue(struct rtnl_link *tap);

/** tap_tell_queues() - "queues" of a link of qbx-json(7), if @tap is such a one. Return: 0, or -1. */
int tap_tell_queues(json_t *link, struct rtnl_link *tap, unsigned queues) _must_check_;

/** tap_remove() - Return: 0 (also when absent), or -1 with @err. */
int tap_remove(int ns, const char *name, struct qbx_err *err) _must_check_;

/** tap_find() - the TAP that the chain itself made, by its result; NULL, without @err, for none. */
struct rtnl_link *tap_find(struct nl_sock *sock, const json_t *result);

/* redirect.c */

/** redirect_pair() - all that arrives on one goes out of the other, both ways. Return: 0, or -1. */
int redirect_pair(struct nl_sock *sock, struct rtnl_link *a, struct rtnl_link *b,
		  struct qbx_err *err) _must_check_;

/** redirect_remove() - no more redirection from a link. Return: 0 (also when there is none), or -1. */
int redirect_remove(struct nl_sock *sock, const char *from, struct qbx_err *err) _must_check_;

/** redirect_is() - does all that arrives on @from go out of @to? */
bool redirect_is(struct nl_sock *sock, struct rtnl_link *from, struct rtnl_link *to);

/* nic.c */

/**
 * nic_list() - the interfaces of a namespace that a guest can take the place of, by name
 * @nics: room for @max; nic_put()
 * @n: how many there are
 * Return: 0, or -1 with @err, also when there are more.
 */
int nic_list(struct nl_sock *sock, struct rtnl_link **nics, size_t max, size_t *n,
	     struct qbx_err *err) _must_check_;
void nic_put(struct rtnl_link **nics, size_t *n);

/** nic_fits() - is it of Ethernet, and does it do ARP? Return: 0, or -1 with @err. */
int nic_fits(struct rtnl_link *nic, struct qbx_err *err) _must_check_;

/**
 * nic_describe() - what is configured on one
 * Return: new {"name", "addresses", "routes", "neighbours"}, or NULL with @err.
 */
json_t *nic_describe(struct nl_sock *sock, struct rtnl_link *nic, struct qbx_err *err) _must_check_;

#endif
