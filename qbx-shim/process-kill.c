/* SPDX-License-Identifier: Apache-2.0 */
/* process-kill.c - what is sent to a process: signals, and the size of its terminal */
#include <signal.h>
#include <stdlib.h>

#include "container.h"
#include "log.h"
#include "process.h"
#include "still.h"
#include "task.h"

struct kill {
	struct sandbox *sandbox;
	struct ttrpc_call *call;
	uint32_t signal;
	bool init;
};

static void reply_empty(struct ttrpc_call *call)
{
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	ttrpc_reply(call, &empty.base);
}

static void kill_vm(struct sandbox *s, struct ttrpc_call *call, const char *why)
{
	sandbox_kill(s, why);
	reply_empty(call);
}

static void on_killed(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct kill *k = arg;
	bool silent = code == TTRPC_DEADLINE_EXCEEDED || code == TTRPC_UNAVAILABLE ||
		      code == TTRPC_CANCELLED;

	if (code == TTRPC_OK)
		ttrpc_reply(k->call, reply);
	else if (silent && k->init && k->signal == SIGKILL)
		kill_vm(k->sandbox, k->call, "the guest did not deliver SIGKILL");
	else
		ttrpc_fail(k->call, code, "signal %u: %s", k->signal, message);
	free(k);
}

static bool may_be_killed(const struct process *p, struct ttrpc_call *call)
{
	if (p->state == PROCESS_NEW || (p->state == PROCESS_CREATED && !process_is_init(p)))
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "%s %s is not there yet",
			   process_is_init(p) ? "task" : "exec",
			   process_is_init(p) ? p->container->id : p->exec_id);
	else if (p->exited || p->state >= PROCESS_DRAINING)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "process already finished");
	else
		return true;
	return false;
}

/*
 * To a VM that stands still a signal is on its way until it goes on, as it would be in a process that
 * is frozen; SIGKILL is not kept waiting, and frozen processes die of it.
 */
void process_kill(struct process *p, struct ttrpc_call *call, uint32_t signal, bool all)
{
	struct container *c = p->container;
	struct sandbox *s = c->sandbox;
	struct qbx_err err = { 0 };
	struct kill *k;

	if (!may_be_killed(p, call))
		return;
	if (!s->control && signal == SIGKILL && process_is_init(p)) {
		kill_vm(s, call, "the guest cannot be reached");
		return;
	}
	if (s->control && s->paused && signal != SIGKILL) {
		task_kill(s->control, c->id, p->exec_id, signal, all, NULL, NULL);
		reply_empty(call);
		return;
	}
	k = s->control ? malloc(sizeof(*k)) : NULL;
	if (!k) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the guest cannot be reached");
		return;
	}
	*k = (struct kill){
		.sandbox = s, .call = call, .signal = signal, .init = process_is_init(p)
	};
	/* What comes before the VM is stopped is to be answered before that. */
	c->woken |= signal == SIGKILL || sandbox_may_halt(s);
	if (signal == SIGKILL && still_end(s->dirfd, &err) < 0)
		log_warn("task %s: %s", c->id, err.msg);
	if (s->paused)
		sandbox_go_on(s, NULL, NULL);
	task_kill(s->control, c->id, p->exec_id, signal, all, on_killed, k);
}

/* ---- ResizePty ---- */

/* Nobody waits for it: a terminal whose VM stands still has its size when that goes on. */
void process_resize(struct process *p, struct ttrpc_call *call, uint32_t width, uint32_t height)
{
	struct container *c = p->container;

	p->width = width; /* the guest knows an exec from its Start on */
	p->height = height;
	if (p->terminal && !p->exited && c->sandbox->control)
		task_resize_pty(c->sandbox->control, c->id, p->exec_id, width, height, NULL, NULL);
	reply_empty(call);
}
