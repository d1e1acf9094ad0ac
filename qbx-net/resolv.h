/* SPDX-License-Identifier: Apache-2.0 */
/* resolv.h - the resolvers of the host */
#ifndef QBX_NET_RESOLV_H
#define QBX_NET_RESOLV_H

#include <jansson.h>
#include <stddef.h>

#include "cleanup.h"

/**
 * resolv_parse() - the name servers and the search list of a resolv.conf(5)
 * Servers that only the host itself reaches are left out. What is not understood is passed over.
 * Return: new {"nameservers", "search"}.
 */
json_t *resolv_parse(const char *text, size_t len) _must_check_;

/** resolv_host() - the same of this host's resolvers; empty if there are none to be had. */
json_t *resolv_host(void) _must_check_;

#endif
