/* SPDX-License-Identifier: Apache-2.0 */
/* container.c - one task as containerd sees it: from CREATED to its end */
#include "container.h"

#include <signal.h>
#include <string.h>

#include "events.h"
#include "io.h"
#include "log.h"
#include "task.h"

#define STALL_MS 10000u	   /* output that nobody takes is given up after this */
#define LOST_STALL_MS 500u /* the same when the VM is gone: what is still to come is on this host */

struct container *container_find(const struct shim *shim, const char *id)
{
	for (struct container *c = shim->containers; c; c = c->next)
		if (!strcmp(c->id, id))
			return c;
	return NULL;
}

Google__Protobuf__Timestamp *timestamp(Google__Protobuf__Timestamp *m, const struct timespec *at)
{
	google__protobuf__timestamp__init(m);
	m->seconds = at->tv_sec;
	m->nanos = (int32_t)at->tv_nsec;
	return m;
}

void container_free(struct container *c)
{
	struct container **at = &c->shim->containers;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
	sandbox_free(c->sandbox); /* first: its pending calls come back, with an error */
	fifos_close(&c->io);
	for (int i = 0; i < FIFO_COUNT; i++)
		free(c->io.f[i].path);
	while (c->waiters) {
		struct waiter *w = c->waiters;

		c->waiters = w->next;
		ttrpc_fail(w->call, TTRPC_NOT_FOUND, "task %s was deleted", c->id);
		free(w);
	}
	free(c->id);
	free(c->bundle);
	free(c->spec);
	json_decref(c->resources);
	free(c);
}

/* ---- events ---- */

static void publish_start(const struct container *c)
{
	Qemubox__Task__TaskStart m = QEMUBOX__TASK__TASK_START__INIT;

	m.container_id = c->id;
	m.pid = (uint32_t)c->pid;
	events_publish(c->shim->events, "/tasks/start", "containerd.events.TaskStart", &m.base);
}

static void publish_exit(const struct container *c)
{
	Qemubox__Task__TaskExit m = QEMUBOX__TASK__TASK_EXIT__INIT;
	Google__Protobuf__Timestamp at;

	m.container_id = c->id;
	m.id = c->id;
	m.pid = (uint32_t)c->pid;
	m.exit_status = c->exit_status;
	m.exited_at = timestamp(&at, &c->exited_at);
	events_publish(c->shim->events, "/tasks/exit", "containerd.events.TaskExit", &m.base);
}

static void publish_delete(const struct container *c)
{
	Qemubox__Task__TaskDelete m = QEMUBOX__TASK__TASK_DELETE__INIT;
	Google__Protobuf__Timestamp at;

	m.container_id = c->id;
	m.pid = (uint32_t)c->pid;
	m.exit_status = c->exit_status;
	m.exited_at = timestamp(&at, &c->exited_at);
	events_publish(c->shim->events, "/tasks/delete", "containerd.events.TaskDelete", &m.base);
}

/* ---- the exit ---- */

static void begin_delete(struct container *c);

static void answer_wait(const struct container *c, struct ttrpc_call *call)
{
	Qemubox__Task__WaitResponse m = QEMUBOX__TASK__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;

	m.exit_status = c->exit_status;
	m.exited_at = timestamp(&at, &c->exited_at);
	ttrpc_reply(call, &m.base);
}

static void stopped(struct container *c)
{
	fifos_close(&c->io);
	c->state = CONTAINER_STOPPED;
	publish_exit(c);
	while (c->waiters) {
		struct waiter *w = c->waiters;

		c->waiters = w->next;
		answer_wait(c, w->call);
		free(w);
	}
}

static void on_drained(void *arg)
{
	struct container *c = arg;

	sandbox_time(c->sandbox, "drain", c->mark);
	stopped(c);
	if (c->deleting)
		begin_delete(c);
}

static void begin_drain(struct container *c)
{
	c->state = CONTAINER_DRAINING;
	c->mark = io_now_us();
	fifos_drain(&c->io, STALL_MS, on_drained);
}

static void note_exit(struct container *c, uint32_t status)
{
	if (c->exited)
		return;
	c->exited = true;
	c->exit_status = status;
	/* By our clock: the guest's is its own. */
	clock_gettime(CLOCK_REALTIME, &c->exited_at);
}

static void on_waited(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct container *c = arg;
	const Qemubox__Task__WaitResponse *r = (const Qemubox__Task__WaitResponse *)reply;

	if (c->state == CONTAINER_DELETING)
		return;
	if (code != TTRPC_OK) {
		sandbox_suspect(c->sandbox, message);
		return;
	}
	note_exit(c, r->exit_status & 0xff);
	if (c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING)
		begin_drain(c);
}

void container_created(struct container *c)
{
	c->state = CONTAINER_CREATED;
	task_wait(c->sandbox->control, c->id, "", on_waited, c);
}

void container_lost(struct container *c, const struct qbx_err *err)
{
	log_warn("task %s: %s: %s", c->id, err->stage, err->msg);
	if (c->starting)
		ttrpc_fail_err(take_ptr(c->starting), err);
	if (c->state >= CONTAINER_STOPPED)
		return;
	note_exit(c, CONTAINER_KILLED);
	if (c->state != CONTAINER_DRAINING)
		begin_drain(c);
	fifos_drain(&c->io, LOST_STALL_MS, on_drained);
}

void container_wait(struct container *c, struct ttrpc_call *call)
{
	struct waiter *w;

	if (c->state >= CONTAINER_STOPPED) {
		answer_wait(c, call);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	w->call = call;
	w->next = c->waiters;
	c->waiters = w;
}

void container_forget_waiters(struct container *c)
{
	for (struct waiter **at = &c->waiters; *at;) {
		struct waiter *w = *at;

		if (ttrpc_call_conn(w->call)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		ttrpc_fail(w->call, TTRPC_CANCELLED, "nobody waits");
		free(w);
	}
}

/* ---- Start ---- */

/*
 * Did the guest's connection fail, rather than the guest say no? Then the sandbox tells why,
 * soon.
 */
static bool guest_is_lost(struct container *c, enum ttrpc_code code, const char *message)
{
	if (code != TTRPC_UNAVAILABLE && code != TTRPC_CANCELLED)
		return false;
	sandbox_suspect(c->sandbox, message);
	return true;
}

static void on_started(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	struct container *c = arg;
	Qemubox__Task__StartResponse m = QEMUBOX__TASK__START_RESPONSE__INIT;

	(void)reply;
	if (guest_is_lost(c, code, message))
		return;
	sandbox_time(c->sandbox, "start", c->mark);
	if (code == TTRPC_OK) {
		c->state = CONTAINER_RUNNING;
		m.pid = (uint32_t)c->pid;
		publish_start(c);
		ttrpc_reply(take_ptr(c->starting), &m.base);
	} else {
		c->state = CONTAINER_CREATED;
		ttrpc_fail(take_ptr(c->starting), code, "start: %s", message);
	}
	if (c->exited)
		begin_drain(c);
}

void container_start(struct container *c, struct ttrpc_call *call)
{
	struct qbx_err err = { 0 };

	if (c->state != CONTAINER_CREATED || !c->sandbox->control) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s is not waiting to be started",
			   c->id);
		return;
	}
	if (fifos_start(&c->io, &err) < 0) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "%s", err.msg);
		return;
	}
	c->state = CONTAINER_STARTING;
	c->mark = io_now_us();
	c->starting = call;
	task_start(c->sandbox->control, c->id, "", on_started, c);
}

/* ---- Kill ---- */

struct kill {
	struct container *container;
	struct ttrpc_call *call;
	uint32_t signal;
};

static void kill_vm(struct container *c, struct ttrpc_call *call, const char *why)
{
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	sandbox_kill(c->sandbox, why);
	ttrpc_reply(call, &empty.base);
}

static void on_killed(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct kill *k = arg;
	bool silent = code == TTRPC_DEADLINE_EXCEEDED || code == TTRPC_UNAVAILABLE ||
		      code == TTRPC_CANCELLED;

	if (code == TTRPC_OK)
		ttrpc_reply(k->call, reply);
	else if (silent && k->signal == SIGKILL)
		kill_vm(k->container, k->call, "the guest did not deliver SIGKILL");
	else
		ttrpc_fail(k->call, code, "signal %u: %s", k->signal, message);
	free(k);
}

void container_kill(struct container *c, struct ttrpc_call *call, uint32_t signal, bool all)
{
	struct kill *k;

	if (c->state == CONTAINER_CREATING) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s is still being created",
			   c->id);
		return;
	}
	if (c->exited || c->state >= CONTAINER_DRAINING) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "process already finished");
		return;
	}
	if (!c->sandbox->control && signal == SIGKILL) {
		kill_vm(c, call, "the guest cannot be reached");
		return;
	}
	k = c->sandbox->control ? malloc(sizeof(*k)) : NULL;
	if (!k) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the guest cannot be reached");
		return;
	}
	*k = (struct kill){ .container = c, .call = call, .signal = signal };
	task_kill(c->sandbox->control, c->id, "", signal, all, on_killed, k);
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
		c->state = CONTAINER_STOPPED;
		ttrpc_fail_err(call, err);
		return;
	}
	publish_delete(c);
	m.pid = (uint32_t)c->pid;
	m.exit_status = c->exit_status;
	m.exited_at = timestamp(&at, &c->exited_at);
	ttrpc_reply(call, &m.base);
	container_free(c);
}

void container_delete(struct container *c, struct ttrpc_call *call)
{
	struct qbx_err aborted = { .stage = "qbx-shim" };

	if (c->deleting || c->state == CONTAINER_STARTING || c->state == CONTAINER_RUNNING) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s is %s", c->id,
			   c->deleting ? "being deleted already" : "running");
		return;
	}
	c->deleting = call;
	switch (c->state) {
	case CONTAINER_CREATING:
		err_code(&aborted, EX_TEMPFAIL, "task %s was deleted while it was being created",
			 c->id);
		container_abort(c, &aborted);
		break;
	case CONTAINER_CREATED: /* it never ran, and now never will */
		note_exit(c, CONTAINER_KILLED);
		stopped(c);
		begin_delete(c);
		break;
	case CONTAINER_STOPPED:
		begin_delete(c);
		break;
	default: /* DRAINING: on_drained() goes on */
		break;
	}
}
