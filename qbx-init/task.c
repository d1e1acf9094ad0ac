/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - containerd.task.v3.Task, as far as a guest serves it */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cgroup.h"
#include "clock.h"
#include "container.h"
#include "cpus.h"
#include "exec.h"
#include "files.h"
#include "guest.pb-c.h"
#include "metrics.h"
#include "network.h"
#include "oom.h"
#include "pause.h"
#include "seal.h"
#include "stats.h"

#define SIGNAL_MAX 64u

/* The container that a call is about, or NULL when the call has been answered with NOT_FOUND. */
static struct container *find(struct vm *vm, struct ttrpc_call *call, const char *id)
{
	struct container *c = container_find(vm, id);

	if (!c)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %.80s does not exist", id);
	return c;
}

/* The exec, or NULL and the same. */
static struct exec *find_exec(const struct container *c, struct ttrpc_call *call,
			      const char *exec_id)
{
	struct exec *e = exec_find(c, exec_id);

	if (!e)
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s has no exec %.80s", c->id, exec_id);
	return e;
}

/* The process that a call is about: an exec, or init when none is named; or NULL and the same. */
static struct process *find_process(struct vm *vm, struct ttrpc_call *call, const char *id,
				    const char *exec_id)
{
	struct container *c = find(vm, call, id);
	struct exec *e;

	if (!c || !exec_id[0])
		return c ? &c->init : NULL;
	e = find_exec(c, call, exec_id);
	return e ? &e->process : NULL;
}

static void reply_empty(struct ttrpc_call *call)
{
	Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	ttrpc_reply(call, &empty.base);
}

static void create(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	container_create(arg, call, (const Qemubox__Task__CreateRequest *)request);
}

static void start(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StartRequest *r = (const Qemubox__Task__StartRequest *)request;
	struct container *c = find(arg, call, r->id);
	struct exec *e;

	if (c && !r->exec_id[0])
		container_start(c, call);
	else if (c && (e = find_exec(c, call, r->exec_id)))
		exec_start(e, call);
}

static void exec(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ExecRequest *r = (const Qemubox__Task__ExecRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		exec_add(c, call, r);
}

static void delete (struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__DeleteRequest *r = (const Qemubox__Task__DeleteRequest *)request;
	struct container *c = find(arg, call, r->id);
	struct exec *e;

	if (c && !r->exec_id[0])
		container_delete(c, call);
	else if (c && (e = find_exec(c, call, r->exec_id)))
		exec_delete(e, call);
}

static Qemubox__Task__Status status_of(const struct container *c)
{
	if (c->init.ended)
		return QEMUBOX__TASK__STATUS__STOPPED;
	switch (c->state) {
	case CONTAINER_STARTING:
	case CONTAINER_RUNNING:
		return QEMUBOX__TASK__STATUS__RUNNING;
	case CONTAINER_PAUSING:
		return QEMUBOX__TASK__STATUS__PAUSING;
	case CONTAINER_PAUSED:
	case CONTAINER_RESUMING:
		return QEMUBOX__TASK__STATUS__PAUSED;
	default:
		return QEMUBOX__TASK__STATUS__CREATED;
	}
}

/* One that runs stands still with its container. */
static Qemubox__Task__Status status_of_exec(const struct exec *e)
{
	if (e->state == EXEC_STOPPED)
		return QEMUBOX__TASK__STATUS__STOPPED;
	if (e->state == EXEC_ADDED)
		return QEMUBOX__TASK__STATUS__CREATED;
	return e->container->init.ended ? QEMUBOX__TASK__STATUS__RUNNING : status_of(e->container);
}

static char *or_empty(char *text)
{
	return text ? text : (char *)protobuf_c_empty_string;
}

static void state(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StateRequest *r = (const Qemubox__Task__StateRequest *)request;
	Qemubox__Task__StateResponse s = QEMUBOX__TASK__STATE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	const struct process *p = find_process(arg, call, r->id, r->exec_id);
	struct container *c = p ? container_find(arg, r->id) : NULL;

	if (!c)
		return;
	s.id = c->id;
	s.exec_id = r->exec_id;
	s.bundle = c->bundle;
	s.pid = (uint32_t)p->pid;
	s.status = r->exec_id[0] ? status_of_exec(exec_find(c, r->exec_id)) : status_of(c);
	s.stdin = or_empty(p->io[0]);
	s.stdout = or_empty(p->io[1]);
	s.stderr = or_empty(p->io[2]);
	s.terminal = p->terminal;
	if (p->ended) {
		s.exit_status = (uint32_t)p->status;
		at.seconds = p->ended_at.tv_sec;
		at.nanos = (int32_t)p->ended_at.tv_nsec;
		s.exited_at = &at;
	}
	ttrpc_reply(call, &s.base);
}

static void pause_(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__PauseRequest *r = (const Qemubox__Task__PauseRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_pause(c, call);
}

static void resume(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ResumeRequest *r = (const Qemubox__Task__ResumeRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_resume(c, call);
}

static void wait_(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__WaitRequest *r = (const Qemubox__Task__WaitRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);

	if (p)
		process_wait(p, call);
}

/* A signal to every process of a container. */
static int signal_all(const struct container *c, int signal, struct qbx_err *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n;

	if (signal == SIGKILL)
		return cgroup_kill(c->cgroup, err);
	if (cgroup_pids(c->cgroup, &pids, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (pids[i] > 1 && kill(pids[i], signal) < 0 && errno != ESRCH)
			return err_sys(err, errno, "signal process %d", (int)pids[i]);
	return 0;
}

static void kill_(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__KillRequest *r = (const Qemubox__Task__KillRequest *)request;
	const struct process *p = find_process(arg, call, r->id, r->exec_id);
	struct container *c = p ? container_find(arg, r->id) : NULL;
	const struct exec *e = c ? exec_find(c, r->exec_id) : NULL;
	struct qbx_err err = { 0 };
	int rc;

	if (!c)
		return;
	if (r->signal == 0 || r->signal > SIGNAL_MAX) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "%u is not a signal", r->signal);
		return;
	}
	if (p->ended || (e && e->state == EXEC_STOPPED)) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "container %s: process already finished", c->id);
		return;
	}
	if (p->pid == 0) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s: process not started",
			   c->id);
		return;
	}
	if (r->signal == SIGKILL)
		seal_end(c);
	/* Not yet reaped, so the pid is still that process. */
	rc = r->all && !r->exec_id[0] ? signal_all(c, (int)r->signal, &err)
				      : kill(p->pid, (int)r->signal);
	if (rc < 0 && !err.msg[0])
		err_sys(&err, errno, "signal container %s", c->id);
	if (rc < 0)
		ttrpc_fail_err(call, &err);
	else
		reply_empty(call);
}

static void stats(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__StatsRequest *r = (const Qemubox__Task__StatsRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_stats(c, call);
}

static void pids(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__PidsRequest *r = (const Qemubox__Task__PidsRequest *)request;
	Qemubox__Task__PidsResponse reply = QEMUBOX__TASK__PIDS_RESPONSE__INIT;
	struct container *c = find(arg, call, r->id);
	_cleanup_free_ Qemubox__Task__ProcessInfo *infos = NULL;
	_cleanup_free_ Qemubox__Task__ProcessInfo **list = NULL;
	_cleanup_free_ pid_t *found = NULL;
	struct qbx_err err = { 0 };
	size_t n;

	if (!c)
		return;
	if (cgroup_pids(c->cgroup, &found, &n, &err) < 0) {
		ttrpc_fail_err(call, &err);
		return;
	}
	infos = calloc(n + 1, sizeof(*infos));
	list = calloc(n + 1, sizeof(void *));
	if (!infos || !list) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "pids: out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		qemubox__task__process_info__init(&infos[i]);
		infos[i].pid = (uint32_t)found[i];
		list[i] = &infos[i];
	}
	reply.processes = list;
	reply.n_processes = n;
	ttrpc_reply(call, &reply.base);
}

/* The end of stdin travels in the stream itself, behind the bytes: there is nothing else to do. */
static void close_io(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__CloseIORequest *r = (const Qemubox__Task__CloseIORequest *)request;

	if (find_process(arg, call, r->id, r->exec_id))
		reply_empty(call);
}

static void resize_pty(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ResizePtyRequest *r = (const Qemubox__Task__ResizePtyRequest *)request;
	struct process *p = find_process(arg, call, r->id, r->exec_id);
	struct qbx_err err = { 0 };

	if (!p)
		return;
	if (process_resize(p, r->width, r->height, &err) < 0)
		ttrpc_fail_err(call, &err);
	else
		reply_empty(call);
}

static void connect_(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ConnectRequest *r = (const Qemubox__Task__ConnectRequest *)request;
	Qemubox__Task__ConnectResponse reply = QEMUBOX__TASK__CONNECT_RESPONSE__INIT;
	const struct container *c = container_find(arg, r->id);

	reply.shim_pid = 1;
	reply.task_pid = c ? (uint32_t)c->init.pid : 0;
	ttrpc_reply(call, &reply.base);
}

static void update(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__UpdateRequest *r = (const Qemubox__Task__UpdateRequest *)request;
	struct container *c = find(arg, call, r->id);

	if (c)
		container_update(c, call, r);
}

#define TASK(name, message, handler)                                                       \
	{                                                                                  \
		GUEST_TASK_SERVICE, name, &qemubox__task__##message##__descriptor, handler \
	}

#define GUEST(name, message, handler)                                                      \
	{                                                                                  \
		GUEST_SERVICE, name, &qemubox__guest__v1__##message##__descriptor, handler \
	}

const struct ttrpc_method task_methods[] = {
	TASK("Create", create_request, create),
	TASK("Start", start_request, start),
	TASK("Exec", exec_request, exec),
	TASK("State", state_request, state),
	TASK("Wait", wait_request, wait_),
	TASK("Pause", pause_request, pause_),
	TASK("Resume", resume_request, resume),
	TASK("Kill", kill_request, kill_),
	TASK("Delete", delete_request, delete),
	TASK("Pids", pids_request, pids),
	TASK("Stats", stats_request, stats),
	TASK("CloseIO", close_iorequest, close_io),
	TASK("ResizePty", resize_pty_request, resize_pty),
	TASK("Connect", connect_request, connect_),
	TASK("Update", update_request, update),
	GUEST("Shutdown", shutdown_request, shutdown_handle),
	GUEST("Ping", ping_request, ping_handle),
	GUEST("AdjustClock", adjust_clock_request, clock_adjust_handle),
	GUEST("AwaitOom", await_oom_request, oom_handle),
	GUEST("Stats", stats_request, stats_handle),
	GUEST("SetNetwork", set_network_request, network_handle),
	GUEST("WriteFile", write_file_request, files_handle),
	GUEST("SetCpus", set_cpus_request, cpus_handle),
	{ NULL, NULL, NULL, NULL },
};
