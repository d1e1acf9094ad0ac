/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - Exec: a further process in a container that runs
 *
 * Exec only takes it down: the guest hears of it at Start. So it is answered at once, and one that is
 * deleted without having run has cost nothing.
 */
#include <errno.h>
#include <string.h>

#include "container.h"
#include "guest.h"
#include "json.h"

static void exec_free(struct process *p)
{
	struct process **at = &p->container->execs;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	process_clear(p);
	free(p);
}

void exec_delete(struct process *p, struct ttrpc_call *call)
{
	Qemubox__Task__DeleteResponse m = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;

	if (p->state != PROCESS_CREATED && p->state != PROCESS_STOPPED) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "exec %s is running", p->exec_id);
		return;
	}
	m.pid = p->exited ? (uint32_t)p->container->pid : 0;
	m.exit_status = p->exit_status;
	m.exited_at = timestamp(&at, &p->exited_at);
	exec_free(p);
	ttrpc_reply(call, &m.base);
}

/* Answers the call if not. */
static bool may_exec(struct container *c, struct ttrpc_call *call,
		     const Qemubox__Task__ExecRequest *r)
{
	unsigned n = 0;

	for (const struct process *p = c->execs; p; p = p->next)
		n++;
	if (!box_name_ok(r->exec_id))
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT,
			   "exec id \"%.80s\": letters and digits joined by single '.', '_' or "
			   "'-', at most %d",
			   r->exec_id, BOX_NAME_MAX);
	else if (container_process(c, r->exec_id))
		ttrpc_fail(call, TTRPC_ALREADY_EXISTS, "exec %s exists", r->exec_id);
	else if (!container_runs(c) || container_paused(c))
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s %s", c->id,
			   container_runs(c) ? "is paused" : "does not run");
	else if (n >= EXECS_MAX)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%u execs are the most", EXECS_MAX);
	else if (!r->spec || strcmp(r->spec->type_url, GUEST_PROCESS_TYPE))
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "exec %s: spec holds no %s", r->exec_id,
			   GUEST_PROCESS_TYPE);
	else
		return true;
	return false;
}

static int take_spec(struct process *p, const ProtobufCBinaryData *value, struct qbx_err *err)
{
	p->spec = malloc(value->len + 1);
	if (!p->spec)
		return err_sys(err, ENOMEM, "exec %s", p->exec_id);
	memcpy(p->spec, value->data, value->len);
	p->spec_len = value->len;
	return 0;
}

void container_exec(struct container *c, struct ttrpc_call *call,
		    const Qemubox__Task__ExecRequest *r)
{
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;
	const struct process_io io = { r->stdin, r->stdout, r->stderr, r->terminal };
	struct qbx_err err = { 0 };
	struct process *p;

	if (!may_exec(c, call, r))
		return;
	p = calloc(1, sizeof(*p));
	if (!p) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "exec %s: out of memory", r->exec_id);
		return;
	}
	if (process_init(p, c, r->exec_id, &io, &err) < 0 ||
	    take_spec(p, &r->spec->value, &err) < 0) {
		exec_free(p);
		ttrpc_fail_err(call, &err);
		return;
	}
	p->state = PROCESS_CREATED;
	p->next = c->execs;
	c->execs = p;
	publish_exec_added(p);
	ttrpc_reply(call, &empty.base);
}
