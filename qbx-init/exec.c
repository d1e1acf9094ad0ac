/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - a further process in a container */
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "log.h"
#include "oom.h"
#include "terminal.h"

struct exec *exec_find(const struct container *c, const char *id)
{
	struct exec *e = c->execs;

	while (e && strcmp(e->id, id))
		e = e->next;
	return e;
}

bool exec_busy(const struct container *c)
{
	for (const struct exec *e = c->execs; e; e = e->next)
		if (e->state == EXEC_STARTING || (e->process.pid && !e->process.ended))
			return true;
	return false;
}

bool exec_starting(const struct container *c)
{
	for (const struct exec *e = c->execs; e; e = e->next)
		if (e->working)
			return true;
	return false;
}

static void close_fds(struct exec *e)
{
	for (int i = 0; i < 3; i++)
		if (e->fds[i] >= 0)
			close(take_fd(&e->fds[i]));
}

static void discard(struct exec *e)
{
	struct exec **at = &e->container->execs;
	struct qbx_err err = { 0 };

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	close_fds(e);
	json_decref(e->spec);
	process_free(&e->process);
	if (io_remove_tree(AT_FDCWD, e->dir, &err) < 0)
		log_error("exec %s: %s", e->id, err.msg);
	free(e);
}

void exec_free_all(struct container *c)
{
	while (c->execs)
		discard(c->execs);
}

/* ---- delete ---- */

void exec_delete(struct exec *e, struct ttrpc_call *call)
{
	Qemubox__Task__DeleteResponse r = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	if (e->state == EXEC_STARTING || e->state == EXEC_RUNNING) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "exec %s is running", e->id);
		return;
	}
	r.pid = (uint32_t)e->process.pid;
	r.exit_status = (uint32_t)e->process.status;
	at.seconds = e->process.ended_at.tv_sec;
	at.nanos = (int32_t)e->process.ended_at.tv_nsec;
	r.exited_at = &at;
	discard(e);
	ttrpc_reply(call, &r.base);
}

/* ---- start ---- */

static void on_ended(void *arg)
{
	struct exec *e = arg;

	oom_look(e->container);
	if (e->state == EXEC_RUNNING)
		e->state = EXEC_STOPPED;
	container_quiet(e->container);
}

static int follow(struct exec *e, struct qbx_err *err)
{
	char path[sizeof(e->dir) + sizeof("/pid")];
	pid_t pid = 0;

	snprintf(path, sizeof(path), "%s/pid", e->dir);
	if (crun_read_pid(path, &pid, err) < 0 || process_begin_io(&e->process, err) < 0)
		return -1;
	return process_watch(&e->process, pid, err);
}

static void started(struct exec *e, const struct qbx_err *failed)
{
	Qemubox__Task__StartResponse r = QEMUBOX__TASK__START_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(e->call);
	struct qbx_err err = { 0 };

	if (!failed && follow(e, &err) < 0) {
		err.sys = 0; /* what the caller asked for is there */
		failed = &err;
	}
	e->state = failed || e->process.ended ? EXEC_STOPPED : EXEC_RUNNING;
	r.pid = (uint32_t)e->process.pid;
	if (failed)
		ttrpc_fail_err(call, failed);
	else
		ttrpc_reply(call, &r.base);
	process_hold(&e->process, false);
	container_quiet(e->container);
}

/* A process can be put only into a container that runs. Answers the call if not. */
static bool may_run(const struct container *c, struct ttrpc_call *call)
{
	if (c->state == CONTAINER_RUNNING && !c->vm->going_down)
		return true;
	ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is %s, not running", c->id,
		   c->vm->going_down ? "going down" : container_state_name(c));
	return false;
}

/* process.json, with the size that its terminal has by now. */
static int write_spec(const struct exec *e, const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;

	if (e->process.terminal && (e->process.width || e->process.height) &&
	    json_object_set_new(e->spec, "consoleSize",
				json_pack("{s:i,s:i}", "width", e->process.width, "height",
					  e->process.height)) < 0)
		return err_sys(err, ENOMEM, "write %s", path);
	text = json_dumps(e->spec, JSON_COMPACT);
	if (!text)
		return err_sys(err, ENOMEM, "write %s", path);
	return io_write_file(AT_FDCWD, path, 0600, text, strlen(text), err);
}

static void on_started(void *arg, const struct qbx_err *failed);

static int run_exec(struct exec *e, struct qbx_err *err)
{
	char spec[sizeof(e->dir) + sizeof("/process.json")], pid[sizeof(e->dir) + sizeof("/pid")];
	char console[sizeof(e->dir) + sizeof(TERMINAL_SOCKET) + 1];
	const char *args[10] = { "exec", "--detach", "--process", spec, "--pid-file", pid };
	const struct crun_child child = {
		.fds = e->fds,
		.oom_score_adj = (int)json_integer_value(json_object_get(e->spec, "oomScoreAdj")),
	};
	size_t n = 6;

	snprintf(spec, sizeof(spec), "%s/process.json", e->dir);
	snprintf(pid, sizeof(pid), "%s/pid", e->dir);
	snprintf(console, sizeof(console), "%s/" TERMINAL_SOCKET, e->dir);
	if (e->process.terminal) {
		args[n++] = "--console-socket";
		args[n++] = console;
	}
	args[n] = e->container->id;
	if (write_spec(e, spec, err) < 0)
		return -1;
	return crun_run(e->container->vm, e->dir, args, &child, on_started, e, err);
}

static void start_queued(struct vm *vm);

static void on_started(void *arg, const struct qbx_err *failed)
{
	struct exec *e = arg;
	struct vm *vm = e->container->vm;

	child_hold(vm, false);
	e->working = false;
	vm->nstarting--;
	started(e, failed);
	start_queued(vm);
}

/* Its container may have ended, or been paused, while it waited. */
static void start_one(struct exec *e)
{
	const struct container *c = e->container;
	struct qbx_err err = { 0 };

	if (c->state != CONTAINER_RUNNING)
		err_code(&err, EX_CONFIG, "container %s is %s, not running", c->id,
			 container_state_name(c));
	if (err.code || run_exec(e, &err) < 0) {
		started(e, &err);
		return;
	}
	close_fds(e);
	child_hold(c->vm, true);
	e->working = true;
	c->vm->nstarting++;
}

static void start_queued(struct vm *vm)
{
	while (vm->exec_queue && vm->nstarting < EXEC_STARTS_MAX) {
		struct exec *e = vm->exec_queue;

		vm->exec_queue = e->queued;
		start_one(e);
	}
}

void exec_start(struct exec *e, struct ttrpc_call *call)
{
	struct exec **last = &e->container->vm->exec_queue;

	if (e->state != EXEC_ADDED) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "exec %s is not waiting to be started",
			   e->id);
		return;
	}
	if (!may_run(e->container, call))
		return;
	e->state = EXEC_STARTING;
	e->call = call;
	process_hold(&e->process, true);
	while (*last)
		last = &(*last)->queued;
	e->queued = NULL;
	*last = e;
	start_queued(e->container->vm);
}

/* ---- add ---- */

static int prepare(struct exec *e, const Qemubox__Task__ExecRequest *r, struct qbx_err *err)
{
	const char *names[3] = { r->stdin, r->stdout, r->stderr };

	if (mkdir(e->dir, 0700) < 0)
		return err_sys(err, errno, "create directory %s", e->dir);
	/* First, so that the streams of one that fails do not stay parked. */
	if (process_open_io(&e->process, names, r->terminal ? e->dir : NULL, e->fds, err) < 0)
		return -1;
	if (!r->spec || strcmp(r->spec->type_url, GUEST_PROCESS_TYPE))
		return err_code(err, EX_DATAERR, "spec holds no " GUEST_PROCESS_TYPE);
	e->spec = spec_process((const char *)r->spec->value.data, r->spec->value.len, r->terminal,
			       err);
	return e->spec ? 0 : -1;
}

/* Answers the call if not. */
static bool may_add(const struct container *c, struct ttrpc_call *call,
		    const Qemubox__Task__ExecRequest *r)
{
	unsigned n = 0;

	for (const struct exec *e = c->execs; e; e = e->next)
		n++;
	if (!box_name_ok(r->exec_id))
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "\"%.80s\" is not an exec id", r->exec_id);
	else if (exec_find(c, r->exec_id))
		ttrpc_fail(call, TTRPC_ALREADY_EXISTS, "exec %s exists", r->exec_id);
	else if (n >= EXECS_MAX)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%u execs are the most", EXECS_MAX);
	else
		return may_run(c, call);
	return false;
}

void exec_add(struct container *c, struct ttrpc_call *call, const Qemubox__Task__ExecRequest *r)
{
	Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;
	struct qbx_err err = { 0 };
	struct exec *e;

	if (!may_add(c, call, r))
		return;
	e = calloc(1, sizeof(*e));
	if (!e) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "exec %s: out of memory", r->exec_id);
		return;
	}
	e->container = c;
	snprintf(e->id, sizeof(e->id), "%s", r->exec_id);
	snprintf(e->dir, sizeof(e->dir), "%s/exec-%s", c->dir, e->id);
	for (int i = 0; i < 3; i++)
		e->fds[i] = -1;
	process_init(&e->process, c->vm, on_ended, e);
	e->next = c->execs;
	c->execs = e;
	if (prepare(e, r, &err) == 0) {
		ttrpc_reply(call, &empty.base);
		return;
	}
	ttrpc_fail_err(call, &err);
	discard(e);
}
