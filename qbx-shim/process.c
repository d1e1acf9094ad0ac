/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - one process as containerd sees it: from CREATED to its end */
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "container.h"
#include "io.h"
#include "log.h"
#include "task.h"

#define STALL_MS 10000u	   /* output that nobody takes is given up after this */
#define LOST_STALL_MS 500u /* the same when the VM is gone: what is still to come is on this host */

struct waiter {
	struct waiter *next;
	struct ttrpc_call *call;
};

bool process_is_init(const struct process *p)
{
	return p == &p->container->init;
}

Google__Protobuf__Timestamp *timestamp(Google__Protobuf__Timestamp *m, const struct timespec *at)
{
	google__protobuf__timestamp__init(m);
	m->seconds = at->tv_sec;
	m->nanos = (int32_t)at->tv_nsec;
	return m;
}

int process_init(struct process *p, struct container *c, const char *exec_id,
		 const struct process_io *io, struct qbx_err *err)
{
	const char *const paths[FIFO_COUNT] = { io->stdin, io->stdout, io->stderr };

	p->container = c;
	p->terminal = io->terminal;
	fifos_init(&p->io, c->shim->loop);
	p->exec_id = strdup(exec_id);
	if (!p->exec_id)
		return err_sys(err, ENOMEM, "make a process");
	p->io.terminal = io->terminal;
	p->io.id = exec_id[0] ? p->exec_id : c->id;
	p->io.namespace = c->shim->namespace;
	return fifos_open(&p->io, c->shim->loop, paths, err);
}

void process_clear(struct process *p)
{
	if (!p->container)
		return;
	fifos_close(&p->io);
	for (int i = 0; i < FIFO_COUNT; i++)
		free(p->io.f[i].path);
	while (p->waiters) {
		struct waiter *w = p->waiters;

		p->waiters = w->next;
		ttrpc_fail(w->call, TTRPC_NOT_FOUND, "task %s was deleted", p->container->id);
		free(w);
	}
	free(p->exec_id);
	free(p->spec);
}

struct task_io process_task_io(const struct process *p)
{
	struct task_io io = { .terminal = p->terminal };

	fifos_numbers(&p->io, io.streams);
	return io;
}

/* ---- Wait ---- */

static void answer_wait(const struct process *p, struct ttrpc_call *call)
{
	Qemubox__Task__WaitResponse m = QEMUBOX__TASK__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;

	m.exit_status = p->exit_status;
	m.exited_at = timestamp(&at, &p->exited_at);
	ttrpc_reply(call, &m.base);
}

void process_wait(struct process *p, struct ttrpc_call *call)
{
	struct waiter *w;

	if (p->state == PROCESS_STOPPED) {
		answer_wait(p, call);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	w->call = call;
	w->next = p->waiters;
	p->waiters = w;
}

static void answer_waiters(struct process *p)
{
	while (p->waiters) {
		struct waiter *w = p->waiters;

		p->waiters = w->next;
		answer_wait(p, w->call);
		free(w);
	}
}

void process_forget_waiters(struct process *p)
{
	for (struct waiter **at = &p->waiters; *at;) {
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

/* ---- the exit ---- */

static void note_exit(struct process *p, uint32_t status)
{
	if (p->exited)
		return;
	p->exited = true;
	p->exit_status = status;
	/* By our clock: the guest's is its own. */
	clock_gettime(CLOCK_REALTIME, &p->exited_at);
}

void process_stopped(struct process *p)
{
	fifos_close(&p->io);
	p->state = PROCESS_STOPPED;
	publish_exit(p);
	answer_waiters(p);
}

static void on_drained(void *arg)
{
	struct process *p = arg;
	struct container *c = p->container;

	if (process_is_init(p))
		sandbox_time(c->sandbox, "drain", p->mark);
	else if (c->sandbox->control) /* nothing in the guest is asked of it any more */
		task_delete(c->sandbox->control, c->id, p->exec_id, NULL, NULL);
	container_drained(c, p);
}

static void begin_drain(struct process *p)
{
	p->state = PROCESS_DRAINING;
	p->mark = io_now_us();
	fifos_drain(&p->io, STALL_MS, on_drained);
}

static void on_waited(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct process *p = arg;
	const Qemubox__Task__WaitResponse *r = (const Qemubox__Task__WaitResponse *)reply;

	if (p->container->state == CONTAINER_DELETING)
		return;
	if (code != TTRPC_OK) {
		sandbox_suspect(p->container->sandbox, message);
		return;
	}
	note_exit(p, r->exit_status & 0xff);
	if (p->state == PROCESS_CREATED || p->state == PROCESS_RUNNING)
		begin_drain(p);
}

void process_await(struct process *p)
{
	struct container *c = p->container;

	task_wait(c->sandbox->control, c->id, p->exec_id, on_waited, p);
}

void process_lost(struct process *p, const struct qbx_err *err)
{
	if (p->starting)
		ttrpc_fail_err(take_ptr(p->starting), err);
	if (p->state == PROCESS_STOPPED || (p->state == PROCESS_CREATED && !process_is_init(p)))
		return;
	note_exit(p, PROCESS_KILLED);
	if (p->state != PROCESS_DRAINING)
		begin_drain(p);
	fifos_drain(&p->io, LOST_STALL_MS, on_drained);
}

void process_never_ran(struct process *p)
{
	note_exit(p, PROCESS_KILLED);
	process_stopped(p);
}

/* ---- Start ---- */

/*
 * Did the guest's connection fail, rather than the guest say no? Then the sandbox tells why,
 * soon.
 */
static bool guest_is_lost(struct process *p, enum ttrpc_code code, const char *message)
{
	if (code != TTRPC_UNAVAILABLE && code != TTRPC_CANCELLED)
		return false;
	sandbox_suspect(p->container->sandbox, message);
	return true;
}

/* The first may be tried again; an exec has come to its end. */
static void fail_start(struct process *p, enum ttrpc_code code, const char *message)
{
	struct container *c = p->container;

	ttrpc_fail(take_ptr(p->starting), code, "start: %s", message);
	if (process_is_init(p)) {
		p->state = PROCESS_CREATED;
		if (p->exited)
			begin_drain(p);
		return;
	}
	if (c->sandbox->control)
		task_delete(c->sandbox->control, c->id, p->exec_id, NULL, NULL);
	fifos_close(&p->io);
	note_exit(p, PROCESS_KILLED);
	p->state = PROCESS_STOPPED;
	answer_waiters(p);
	container_drained(c, p);
}

static void answer_start(struct process *p)
{
	Qemubox__Task__StartResponse m = QEMUBOX__TASK__START_RESPONSE__INIT;

	m.pid = (uint32_t)p->container->pid;
	ttrpc_reply(take_ptr(p->starting), &m.base);
	if (p->exited)
		begin_drain(p);
}

void process_start_done(struct process *p, const struct qbx_err *err)
{
	struct container *c = p->container;
	char text[ERR_TEXT_MAX];

	p->state = PROCESS_RUNNING;
	if (!err) {
		sandbox_time(c->sandbox, "start", p->mark);
		publish_start(c);
		answer_start(p);
		return;
	}
	log_error("start %s: %s: %s", c->id, err->stage, err->msg);
	if (c->sandbox->control)
		task_kill(c->sandbox->control, c->id, "", SIGKILL, true, NULL, NULL);
	ttrpc_fail(take_ptr(p->starting), TTRPC_FAILED_PRECONDITION, "start: %s",
		   err_text(err, text));
	if (p->exited)
		begin_drain(p);
}

static void on_started(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	struct process *p = arg;

	(void)reply;
	if (p->state != PROCESS_STARTING || guest_is_lost(p, code, message))
		return;
	if (code != TTRPC_OK) {
		fail_start(p, code, message);
		return;
	}
	if (process_is_init(p)) {
		p->state = PROCESS_BEGUN;
		container_hooks_start(p->container);
		return;
	}
	p->state = PROCESS_RUNNING;
	publish_exec_started(p);
	process_await(p);
	answer_start(p);
}

static void on_added(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		     const char *message)
{
	struct process *p = arg;
	struct container *c = p->container;

	(void)reply;
	if (p->state != PROCESS_STARTING || guest_is_lost(p, code, message))
		return;
	free(take_ptr(p->spec));
	if (code != TTRPC_OK) {
		fail_start(p, code, message);
		return;
	}
	if (p->width)
		task_resize_pty(c->sandbox->control, c->id, p->exec_id, p->width, p->height, NULL,
				NULL);
	task_start(c->sandbox->control, c->id, p->exec_id, on_started, p);
}

static void on_dialled(void *arg, const struct qbx_err *err)
{
	struct process *p = arg;
	struct container *c = p->container;
	struct task_io io = process_task_io(p);
	struct qbx_err own = { 0 };

	if (p->state != PROCESS_STARTING)
		return;
	if (!err && fifos_start(&p->io, &own) < 0)
		err = &own;
	if (err)
		fail_start(p, TTRPC_FAILED_PRECONDITION, err->msg);
	else if (c->sandbox->control) /* else the sandbox is about to say why not */
		task_exec(c->sandbox->control, c->id, p->exec_id, p->spec, p->spec_len, &io,
			  on_added, p);
}

static bool may_start(const struct process *p)
{
	const struct container *c = p->container;

	return p->state == PROCESS_CREATED && !p->exited && c->state == CONTAINER_STANDING &&
	       !c->sandbox->paused && c->sandbox->control &&
	       (process_is_init(p) || container_runs(c));
}

static void start_init(struct process *p)
{
	struct container *c = p->container;
	struct qbx_err err = { 0 };

	if (fifos_start(&p->io, &err) < 0)
		fail_start(p, TTRPC_FAILED_PRECONDITION, err.msg);
	else if (c->sandbox->control) /* else the sandbox is about to say why not */
		task_start(c->sandbox->control, c->id, "", on_started, p);
}

static void on_network(void *arg, const struct qbx_err *err)
{
	struct process *p = arg;
	char text[ERR_TEXT_MAX];

	if (p->state != PROCESS_STARTING)
		return;
	if (err)
		fail_start(p, TTRPC_FAILED_PRECONDITION, err_text(err, text));
	else
		start_init(p);
}

void process_start(struct process *p, struct ttrpc_call *call)
{
	struct container *c = p->container;
	struct qbx_err err = { 0 };
	int rc;

	if (!may_start(p)) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "%s %s is not waiting to be started",
			   process_is_init(p) ? "task" : "exec",
			   process_is_init(p) ? c->id : p->exec_id);
		return;
	}
	p->state = PROCESS_STARTING;
	p->mark = io_now_us();
	p->starting = call;
	if (process_is_init(p))
		rc = sandbox_sync(c->sandbox, on_network, p, &err);
	else
		rc = fifos_dial(&p->io, &c->sandbox->guest, &c->sandbox->next_stream, on_dialled, p,
				&err);
	if (rc > 0)
		start_init(p);
	if (rc < 0)
		fail_start(p, TTRPC_FAILED_PRECONDITION, err.msg);
}
