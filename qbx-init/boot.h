/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h - from the hello to a configured guest */
#ifndef QBX_INIT_BOOT_H
#define QBX_INIT_BOOT_H

#include <stdbool.h>
#include <stddef.h>

#include "addr.h"
#include "err.h"
#include "guest.pb-c.h"

#define BOOT_ENTROPY_MAX 1024u /* bytes */
#define BOOT_LINKS_MAX 8u

typedef Qemubox__Guest__V1__Boot Boot;
typedef Qemubox__Guest__V1__Link Link;
typedef Qemubox__Guest__V1__Route Route;
typedef Qemubox__Guest__V1__Neighbour Neighbour;

/* What a Boot or a SetNetwork says of the network; borrowed from that. */
struct network {
	size_t n_links, n_nameservers, n_search;
	Link *const *links;
	char *const *nameservers, *const *search;
};

/* boot.c */

/** network_check() - is it fit to be used? Return: 0, or -1 with @err. */
int network_check(const struct network *net, struct qbx_err *err) _must_check_;

/** network_of_boot() - the part of a Boot that is the network. */
struct network network_of_boot(const Boot *boot);

/**
 * boot_parse() - decode a Boot message and check all that is in it
 * @data, @len: the message without its length, at most GUEST_MESSAGE_MAX bytes
 * Return: the message, for boot_free(), or NULL with @err; a Boot that refuses this guest is an
 * error with the host's text.
 */
Boot *boot_parse(const uint8_t *data, size_t len, struct qbx_err *err) _must_check_;
void boot_free(Boot *boot);

/* hello.c */

/**
 * hello() - say hello to the host on vsock port @port and wait for its Boot
 * Blocks, for 30 seconds at most. Return: as boot_parse().
 */
Boot *hello(unsigned port, struct qbx_err *err) _must_check_;

/* setup.c */

/** setup() - clock, entropy, host name, resolv.conf and network, as @boot says */
int setup(const Boot *boot, struct qbx_err *err) _must_check_;

/** resolv_conf_write() - /etc/resolv.conf of the guest; without servers and domains none */
int resolv_conf_write(const struct network *net, struct qbx_err *err) _must_check_;

/* net.c */

/** net_setup() - lo, and each link by its MAC address: name, MTU, addresses, neighbours, routes, up */
int net_setup(const struct network *net, struct qbx_err *err) _must_check_;

/** net_change() - the same once more, instead of what was: what is not told of is taken away */
int net_change(const struct network *net, struct qbx_err *err) _must_check_;

#endif
