/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom.c - what the guest says of processes that were killed for want of memory
 *
 * It is asked again a moment after each answer, so that it cannot have containerd told of one all the
 * time. What happens meanwhile it tells then.
 */
#include <string.h>

#include "container.h"
#include "guest.h"
#include "guest.pb-c.h"
#include "log.h"

#define REST_MS 1000u

static void on_rested(void *arg)
{
	struct container *c = arg;

	c->oom_rest = NULL;
	if (c->sandbox->control)
		oom_watch(c);
}

static void on_oom(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		   const char *message)
{
	const Qemubox__Guest__V1__AwaitOomResponse *r =
		(const Qemubox__Guest__V1__AwaitOomResponse *)reply;
	struct container *c = arg;
	struct qbx_err err = { 0 };

	if (code == TTRPC_CANCELLED || code == TTRPC_UNAVAILABLE)
		return;
	if (code != TTRPC_OK) {
		log_warn("task %s: OOM kills are not told: %s", c->id, message);
		return;
	}
	if (!strcmp(r->id, c->id))
		publish_oom(c);
	c->oom_rest = loop_add_timer(c->shim->loop, REST_MS, on_rested, c, &err);
	if (!c->oom_rest)
		log_warn("task %s: OOM kills are not told any more: %s", c->id, err.msg);
}

void oom_watch(struct container *c)
{
	Qemubox__Guest__V1__AwaitOomRequest m = QEMUBOX__GUEST__V1__AWAIT_OOM_REQUEST__INIT;

	ttrpc_request(c->sandbox->control, GUEST_SERVICE, "AwaitOom", &m.base, 0,
		      &qemubox__guest__v1__await_oom_response__descriptor, on_oom, c);
}
