/* SPDX-License-Identifier: Apache-2.0 */
/* netmsg.h - a document's network in the words of the guest's protocol: proto/guest.proto */
#ifndef QBX_NETMSG_H
#define QBX_NETMSG_H

#include <jansson.h>

#include "err.h"
#include "guest.pb-c.h"

#define NETMSG_LINKS_MAX 4u

struct netmsg {
	size_t n_links, n_nameservers, n_search;
	Qemubox__Guest__V1__Link **links;
	char **nameservers, **search;
	void *block[6 * NETMSG_LINKS_MAX + 8]; /* what the above is made of */
	size_t n;
};

/**
 * netmsg_make() - "net" of a document, qbx-json(7); NULL is no network
 * @net: its strings are used as they are
 * Return: 0, or -1 with @err (EX_DATAERR). Either way netmsg_free() follows.
 */
int netmsg_make(struct netmsg *m, const json_t *net, struct qbx_err *err) _must_check_;

/** netmsg_free() - also fit for _cleanup_(netmsg_free). */
void netmsg_free(struct netmsg *m);

#endif
