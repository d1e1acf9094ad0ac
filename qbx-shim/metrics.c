/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.c - Stats: what a container uses, as its guest counts it
 *
 * The guest's answer is passed on as it is, if it is what it says it is. A VM that stands still cannot be
 * asked, but nothing changes there either: Pause has asked.
 */
#include "metrics.h"

#include <string.h>

#include "guest.h"
#include "log.h"
#include "metrics.pb-c.h"
#include "task.h"

#define METRICS_MAX 65536u /* bytes: disks and all, a guest has no use for more */

/* What a StatsResponse holds, or NULL with a line in the log. */
static const Google__Protobuf__Any *take(const ProtobufCMessage *reply)
{
	const Google__Protobuf__Any *any = ((const Qemubox__Task__StatsResponse *)reply)->stats;
	Qemubox__Metrics__Metrics *m = NULL;

	if (any && !strcmp(any->type_url, GUEST_METRICS_TYPE) && any->value.len <= METRICS_MAX)
		m = qemubox__metrics__metrics__unpack(NULL, any->value.len, any->value.data);
	if (!m) {
		log_warn("the guest's answer to Stats is no %s", GUEST_METRICS_TYPE);
		return NULL;
	}
	qemubox__metrics__metrics__free_unpacked(m, NULL);
	return any;
}

void metrics_keep(struct container *c, const ProtobufCMessage *reply)
{
	const Google__Protobuf__Any *any = take(reply);

	metrics_forget(c);
	c->stats.data = any ? malloc(any->value.len + 1) : NULL;
	if (!c->stats.data)
		return;
	memcpy(c->stats.data, any->value.data, any->value.len);
	c->stats.len = any->value.len;
}

void metrics_forget(struct container *c)
{
	free(c->stats.data);
	c->stats = (ProtobufCBinaryData){ 0 };
}

/* Only the call is known: the container may be another one by then. */
static void on_stats(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		     const char *message)
{
	struct ttrpc_call *call = arg;

	if (code != TTRPC_OK)
		ttrpc_fail(call, code, "stats: %s", message);
	else if (!take(reply))
		ttrpc_fail(call, TTRPC_INTERNAL, "stats: the guest's answer is malformed");
	else
		ttrpc_reply(call, reply);
}

static void reply_kept(const struct container *c, struct ttrpc_call *call)
{
	Qemubox__Task__StatsResponse m = QEMUBOX__TASK__STATS_RESPONSE__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)GUEST_METRICS_TYPE;
	any.value = c->stats;
	m.stats = &any;
	ttrpc_reply(call, &m.base);
}

void container_stats(struct container *c, struct ttrpc_call *call)
{
	if (c->stats.data)
		reply_kept(c, call);
	else if (c->init.state < PROCESS_CREATED || c->init.exited || !c->sandbox->control)
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s does not run", c->id);
	else if (c->sandbox->paused)
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the VM of task %s stands still",
			   c->id);
	else
		task_stats(c->sandbox->control, c->id, on_stats, call);
}
