/* SPDX-License-Identifier: Apache-2.0 */
/* network.c - another network than at boot: Guest/SetNetwork */
#include "network.h"

#include "boot.h"
#include "container.h"
#include "etc.h"

static int set(struct vm *vm, const struct network *net, struct qbx_err *err)
{
	if (network_check(net, err) < 0 || net_change(net, err) < 0 ||
	    resolv_conf_write(net, err) < 0)
		return -1;
	for (const struct container *c = vm->containers; c; c = c->next)
		if (etc_refresh(c->dir, err) < 0)
			return -1;
	return 0;
}

void network_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Guest__V1__SetNetworkRequest *r =
		(const Qemubox__Guest__V1__SetNetworkRequest *)request;
	Qemubox__Guest__V1__SetNetworkResponse reply =
		QEMUBOX__GUEST__V1__SET_NETWORK_RESPONSE__INIT;
	const struct network net = { .n_links = r->n_links,
				     .links = r->links,
				     .n_nameservers = r->n_nameservers,
				     .nameservers = r->nameservers,
				     .n_search = r->n_search,
				     .search = r->search };
	struct qbx_err err = { 0 };

	if (set(arg, &net, &err) < 0)
		ttrpc_fail_err(call, &err);
	else
		ttrpc_reply(call, &reply.base);
}
