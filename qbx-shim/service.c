/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - containerd.task.v2.Task and containerd.task.v3.Task
 *
 * The two differ in nothing but their name. A method that is not in the table, Checkpoint, is answered
 * with UNIMPLEMENTED.
 */
#include <string.h>

#include "container.h"
#include "shim.h"
#include "task.pb-c.h"
#include "ttrpc.h"

static const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

/* The task that a request names, or NULL and the call is answered. */
static struct container *find(struct shim *shim, struct ttrpc_call *call, const char *id)
{
	struct container *c = container_find(shim, id);

	if (!c)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "task %.80s not found", id);
	return c;
}

/* The process of it, or NULL and the same. */
static struct process *find_process(struct shim *shim, struct ttrpc_call *call, const char *id,
				    const char *exec_id)
{
	struct container *c = find(shim, call, id);
	struct process *p = c ? container_process(c, exec_id) : NULL;

	if (c && !p)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "task %s has no process %.80s", id, exec_id);
	return p;
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	container_create(arg, call, (const Qemubox__Task__CreateRequest *)request);
}

static void on_exec(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ExecRequest *r = (const Qemubox__Task__ExecRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_exec(c, call, r);
}

static void on_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StartRequest *r = (const Qemubox__Task__StartRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p)
		process_start(p, call);
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__WaitRequest *r = (const Qemubox__Task__WaitRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p)
		process_wait(p, call);
}

static void on_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__KillRequest *r = (const Qemubox__Task__KillRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p)
		process_kill(p, call, r->signal, r->all);
}

static void on_delete(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__DeleteRequest *r = (const Qemubox__Task__DeleteRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p && r->exec_id[0])
		exec_delete(p, call);
	else if (p)
		container_delete(p->container, call);
}

static void on_resize_pty(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ResizePtyRequest *r = (const Qemubox__Task__ResizePtyRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p)
		process_resize(p, call, r->width, r->height);
}

static void on_close_io(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__CloseIORequest *r = (const Qemubox__Task__CloseIORequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (!p)
		return;
	if (r->stdin)
		fifos_close_stdin(&p->io);
	ttrpc_reply(call, &empty.base);
}

static Qemubox__Task__Status status_of(const struct process *p)
{
	switch (p->state) {
	case PROCESS_NEW:
		return QEMUBOX__TASK__STATUS__UNKNOWN;
	case PROCESS_CREATED:
	case PROCESS_STARTING:
		return QEMUBOX__TASK__STATUS__CREATED;
	case PROCESS_STOPPED:
		return QEMUBOX__TASK__STATUS__STOPPED;
	default: /* DRAINING, too, until Wait says otherwise */
		break;
	}
	if (p->container->state == CONTAINER_PAUSING)
		return QEMUBOX__TASK__STATUS__PAUSING;
	return p->container->state == CONTAINER_PAUSED || p->container->sandbox->paused
		       ? QEMUBOX__TASK__STATUS__PAUSED
		       : QEMUBOX__TASK__STATUS__RUNNING;
}

static void on_state(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StateRequest *r = (const Qemubox__Task__StateRequest *)request;
	const struct process *p = find_process(arg, call, r->id, r->exec_id);
	Qemubox__Task__StateResponse m = QEMUBOX__TASK__STATE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;

	if (!p)
		return;
	m.id = p->container->id;
	m.exec_id = p->exec_id;
	m.bundle = p->container->bundle;
	m.pid = (uint32_t)p->container->sandbox->pid;
	m.status = status_of(p);
	m.stdin = p->io.f[FIFO_STDIN].path;
	m.stdout = p->io.f[FIFO_STDOUT].path;
	m.stderr = p->io.f[FIFO_STDERR].path;
	m.terminal = p->terminal;
	if (p->state == PROCESS_STOPPED) {
		m.exit_status = p->exit_status;
		m.exited_at = timestamp(&at, &p->exited_at);
	}
	ttrpc_reply(call, &m.base);
}

/* Asked for after every Create and after containerd's restart; who is unknown has pid 0. */
static void on_connect(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ConnectRequest *r = (const Qemubox__Task__ConnectRequest *)request;
	const struct container *c = container_find(arg, r->id);
	Qemubox__Task__ConnectResponse m = QEMUBOX__TASK__CONNECT_RESPONSE__INIT;

	m.shim_pid = (uint32_t)getpid();
	m.task_pid = c ? (uint32_t)c->sandbox->pid : 0;
	ttrpc_reply(call, &m.base);
}

static void on_pids(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__PidsRequest *r = (const Qemubox__Task__PidsRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_pids(c, call);
}

static void on_pause(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__PauseRequest *r = (const Qemubox__Task__PauseRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_pause(c, call);
}

static void on_resume(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ResumeRequest *r = (const Qemubox__Task__ResumeRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_resume(c, call);
}

static void on_stats(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StatsRequest *r = (const Qemubox__Task__StatsRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_stats(c, call);
}

static void on_update(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__UpdateRequest *r = (const Qemubox__Task__UpdateRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_update(c, call, r);
}

static void on_shutdown(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	struct shim *shim = arg;

	(void)request;
	ttrpc_reply(call, &empty.base);
	if (!shim->containers)
		shim_quit(shim);
}

void service_disconnected(struct shim *shim)
{
	for (struct container *c = shim->containers; c; c = c->next)
		container_forget_waiters(c);
}

/* clang-format off */
#define METHODS(service)                                                                           \
	{ service, "Create",    &qemubox__task__create_request__descriptor,       on_create },     \
	{ service, "Exec",      &qemubox__task__exec_request__descriptor,         on_exec },       \
	{ service, "Start",     &qemubox__task__start_request__descriptor,        on_start },      \
	{ service, "Wait",      &qemubox__task__wait_request__descriptor,         on_wait },       \
	{ service, "State",     &qemubox__task__state_request__descriptor,        on_state },      \
	{ service, "Kill",      &qemubox__task__kill_request__descriptor,         on_kill },       \
	{ service, "Delete",    &qemubox__task__delete_request__descriptor,       on_delete },     \
	{ service, "Connect",   &qemubox__task__connect_request__descriptor,      on_connect },    \
	{ service, "CloseIO",   &qemubox__task__close_iorequest__descriptor,      on_close_io },   \
	{ service, "ResizePty", &qemubox__task__resize_pty_request__descriptor,   on_resize_pty }, \
	{ service, "Pids",      &qemubox__task__pids_request__descriptor,         on_pids },       \
	{ service, "Pause",     &qemubox__task__pause_request__descriptor,        on_pause },      \
	{ service, "Resume",    &qemubox__task__resume_request__descriptor,       on_resume },     \
	{ service, "Stats",     &qemubox__task__stats_request__descriptor,        on_stats },      \
	{ service, "Update",    &qemubox__task__update_request__descriptor,       on_update },     \
	{ service, "Shutdown",  &qemubox__task__shutdown_request__descriptor,     on_shutdown }

const struct ttrpc_method service_methods[] = {
	METHODS("containerd.task.v2.Task"),
	METHODS("containerd.task.v3.Task"),
	{ NULL, NULL, NULL, NULL },
};
/* clang-format on */
