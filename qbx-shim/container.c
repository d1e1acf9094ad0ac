/* SPDX-License-Identifier: Apache-2.0 */
/* container.c - one task as containerd sees it: from Create's answer to its end */
#include "container.h"

#include <string.h>

#include "log.h"

struct container *container_find(const struct shim *shim, const char *id)
{
	for (struct container *c = shim->containers; c; c = c->next)
		if (!strcmp(c->id, id))
			return c;
	return NULL;
}

struct process *container_process(struct container *c, const char *exec_id)
{
	struct process *p = c->execs;

	if (!exec_id[0])
		return &c->init;
	while (p && strcmp(p->exec_id, exec_id))
		p = p->next;
	return p;
}

bool container_runs(const struct container *c)
{
	return c->init.state == PROCESS_RUNNING && !c->init.exited;
}

bool container_paused(const struct container *c)
{
	return (c->state >= CONTAINER_PAUSING && c->state <= CONTAINER_RESUMING) ||
	       (c->sandbox && c->sandbox->paused);
}

void container_free(struct container *c)
{
	struct container **at = &c->shim->containers;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	loop_remove(c->oom_rest);
	sandbox_free(c->sandbox); /* first: its pending calls come back, with an error */
	hooks_free(&c->hooks);
	while (c->execs) {
		struct process *p = c->execs;

		c->execs = p->next;
		process_clear(p);
		free(p);
	}
	process_clear(&c->init);
	free(c->id);
	free(c->bundle);
	free(c->stats.data);
	json_decref(c->resources);
	free(c);
}

void container_forget_waiters(struct container *c)
{
	process_forget_waiters(&c->init);
	for (struct process *p = c->execs; p; p = p->next)
		process_forget_waiters(p);
}

/* ---- the exit ---- */

static void begin_delete(struct container *c);

static bool exec_runs(const struct container *c)
{
	for (const struct process *p = c->execs; p; p = p->next)
		if (p->state > PROCESS_CREATED && p->state < PROCESS_STOPPED)
			return true;
	return false;
}

void container_drained(struct container *c, struct process *p)
{
	if (p == &c->init) {
		c->init_drained = true;
		if (c->state == CONTAINER_PAUSED) /* by SIGKILL */
			c->state = CONTAINER_STANDING;
	} else if (p->state != PROCESS_STOPPED) {
		process_stopped(p);
	}
	if (!c->init_drained || c->init.state == PROCESS_STOPPED || exec_runs(c))
		return;
	process_stopped(&c->init);
	if (c->deleting)
		begin_delete(c);
}

void container_hold(struct container *c, bool hold)
{
	fifos_hold(&c->init.io, hold);
	for (struct process *p = c->execs; p; p = p->next)
		fifos_hold(&p->io, hold);
}

void container_lost(struct container *c, const struct qbx_err *err)
{
	log_warn("task %s: %s: %s", c->id, err->stage, err->msg);
	pause_lost(c, err);
	hooks_stop(&c->hooks);
	for (struct process *p = c->execs; p; p = p->next)
		process_lost(p, err);
	process_lost(&c->init, err);
}

/* ---- Delete ---- */

/* The last container of a VM needs no Delete in the guest: it goes with the VM. */
static void begin_delete(struct container *c)
{
	c->state = CONTAINER_DELETING;
	sandbox_down(c->sandbox);
}

void container_sandbox_down(struct container *c, const struct qbx_err *err)
{
	Qemubox__Task__DeleteResponse m = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(c->deleting);
	Google__Protobuf__Timestamp at;

	if (err) {
		c->state = CONTAINER_STANDING;
		ttrpc_fail_err(call, err);
		return;
	}
	publish_delete(c);
	m.pid = (uint32_t)c->pid;
	m.exit_status = c->init.exit_status;
	m.exited_at = timestamp(&at, &c->init.exited_at);
	ttrpc_reply(call, &m.base);
	container_free(c);
}

/* Answers the call if not. */
static bool may_delete(const struct container *c, struct ttrpc_call *call)
{
	const char *why = NULL;

	if (c->deleting)
		why = "being deleted already";
	else if (container_paused(c) && !c->init.exited)
		why = "paused";
	else if (c->init.state >= PROCESS_STARTING && c->init.state <= PROCESS_RUNNING)
		why = "running";
	if (why)
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s is %s", c->id, why);
	return !why;
}

void container_delete(struct container *c, struct ttrpc_call *call)
{
	struct qbx_err aborted = { .stage = "qbx-shim" };

	if (!may_delete(c, call))
		return;
	c->deleting = call;
	switch (c->init.state) {
	case PROCESS_NEW:
		err_code(&aborted, EX_TEMPFAIL, "task %s was deleted while it was being created",
			 c->id);
		container_abort(c, &aborted);
		break;
	case PROCESS_CREATED: /* it never ran, and now never will */
		process_never_ran(&c->init);
		begin_delete(c);
		break;
	case PROCESS_STOPPED:
		begin_delete(c);
		break;
	default: /* DRAINING: container_drained() goes on */
		break;
	}
}
