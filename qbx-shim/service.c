/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - containerd.task.v2.Task and containerd.task.v3.Task
 *
 * The two differ in nothing but their name. A method that is not in the table is answered with
 * UNIMPLEMENTED: Exec, ResizePty, Pause, Resume, Checkpoint, Stats.
 */
#include <string.h>

#include "container.h"
#include "shim.h"
#include "task.pb-c.h"
#include "ttrpc.h"

static const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

/* The task that a request names, or NULL and the call is answered. There are no other processes. */
static struct container *find(struct shim *shim, struct ttrpc_call *call, const char *id,
			      const char *exec_id)
{
	struct container *c = container_find(shim, id);

	if (!c)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "task %.80s not found", id);
	else if (exec_id[0])
		ttrpc_fail(call, TTRPC_NOT_FOUND, "task %s has no process %.80s", id, exec_id);
	return exec_id[0] ? NULL : c;
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	container_create(arg, call, (const Qemubox__Task__CreateRequest *)request);
}

static void on_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StartRequest *r = (const Qemubox__Task__StartRequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);

	if (c)
		container_start(c, call);
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__WaitRequest *r = (const Qemubox__Task__WaitRequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);

	if (c)
		container_wait(c, call);
}

static void on_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__KillRequest *r = (const Qemubox__Task__KillRequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);

	if (c)
		container_kill(c, call, r->signal, r->all);
}

static void on_delete(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__DeleteRequest *r = (const Qemubox__Task__DeleteRequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);

	if (c)
		container_delete(c, call);
}

static Qemubox__Task__Status status_of(const struct container *c)
{
	switch (c->state) {
	case CONTAINER_CREATING:
		return QEMUBOX__TASK__STATUS__UNKNOWN;
	case CONTAINER_CREATED:
	case CONTAINER_STARTING:
		return QEMUBOX__TASK__STATUS__CREATED;
	case CONTAINER_RUNNING:
	case CONTAINER_DRAINING: /* until Wait says otherwise */
		return QEMUBOX__TASK__STATUS__RUNNING;
	default:
		return QEMUBOX__TASK__STATUS__STOPPED;
	}
}

static void on_state(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StateRequest *r = (const Qemubox__Task__StateRequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);
	Qemubox__Task__StateResponse m = QEMUBOX__TASK__STATE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;

	if (!c)
		return;
	m.id = c->id;
	m.bundle = c->bundle;
	m.pid = (uint32_t)c->sandbox->pid;
	m.status = status_of(c);
	m.stdin = c->io.f[FIFO_STDIN].path;
	m.stdout = c->io.f[FIFO_STDOUT].path;
	m.stderr = c->io.f[FIFO_STDERR].path;
	if (c->state >= CONTAINER_STOPPED) {
		m.exit_status = c->exit_status;
		m.exited_at = timestamp(&at, &c->exited_at);
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
	struct container *c = find(arg, call, r->id, "");
	Qemubox__Task__PidsResponse m = QEMUBOX__TASK__PIDS_RESPONSE__INIT;
	Qemubox__Task__ProcessInfo qemu = QEMUBOX__TASK__PROCESS_INFO__INIT;
	Qemubox__Task__ProcessInfo *list[] = { &qemu };

	if (!c)
		return;
	qemu.pid = (uint32_t)c->sandbox->pid;
	m.n_processes = qemu.pid ? 1 : 0;
	m.processes = list;
	ttrpc_reply(call, &m.base);
}

static void on_close_io(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__CloseIORequest *r = (const Qemubox__Task__CloseIORequest *)request;
	struct container *c = find(arg, call, r->id, r->exec_id);

	if (!c)
		return;
	if (r->stdin)
		fifos_close_stdin(&c->io);
	ttrpc_reply(call, &empty.base);
}

static void on_update(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__UpdateRequest *r = (const Qemubox__Task__UpdateRequest *)request;
	struct container *c = find(arg, call, r->id, "");

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
#define METHODS(service)                                                                        \
	{ service, "Create",   &qemubox__task__create_request__descriptor,   on_create },       \
	{ service, "Start",    &qemubox__task__start_request__descriptor,    on_start },        \
	{ service, "Wait",     &qemubox__task__wait_request__descriptor,     on_wait },         \
	{ service, "State",    &qemubox__task__state_request__descriptor,    on_state },        \
	{ service, "Kill",     &qemubox__task__kill_request__descriptor,     on_kill },         \
	{ service, "Delete",   &qemubox__task__delete_request__descriptor,   on_delete },       \
	{ service, "Connect",  &qemubox__task__connect_request__descriptor,  on_connect },      \
	{ service, "CloseIO",  &qemubox__task__close_iorequest__descriptor,  on_close_io },     \
	{ service, "Pids",     &qemubox__task__pids_request__descriptor,     on_pids },         \
	{ service, "Update",   &qemubox__task__update_request__descriptor,   on_update },       \
	{ service, "Shutdown", &qemubox__task__shutdown_request__descriptor, on_shutdown }

const struct ttrpc_method service_methods[] = {
	METHODS("containerd.task.v2.Task"),
	METHODS("containerd.task.v3.Task"),
	{ NULL, NULL, NULL, NULL },
};
/* clang-format on */
