/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - what there is in the kernel, beside what there should be */
#ifndef QBX_NET_INSPECT_H
#define QBX_NET_INSPECT_H

#include <jansson.h>

#include "err.h"
#include "networks.h"

struct nl_sock;

/** differs() - one more difference in @found, an array: {"about", "difference"}. */
void differs(json_t *found, const char *about, const char *fmt, ...) _printf_(3, 4);

/**
 * inspect_network() - one network of a box in the kernel
 * @sock: in its namespace
 * @said: the interface in the document, by add
 * @found: array that every difference is added to
 */
void inspect_network(struct nl_sock *sock, const struct attachment *at, const json_t *said,
		     const char *id, json_t *found);

#endif
