/* SPDX-License-Identifier: Apache-2.0 */
/* container.c - a container's life */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "disks.h"
#include "etc.h"
#include "exec.h"
#include "files.h"
#include "io.h"
#include "log.h"
#include "oom.h"
#include "pause.h"
#include "rootfs.h"
#include "seal.h"
#include "terminal.h"

struct container *container_find(const struct vm *vm, const char *id)
{
	struct container *c = vm->containers;

	while (c && strcmp(c->id, id))
		c = c->next;
	return c;
}

const char *container_state_name(const struct container *c)
{
	static const char *const names[] = {
		[CONTAINER_CREATING] = "being created", [CONTAINER_CREATED] = "created",
		[CONTAINER_STARTING] = "being started", [CONTAINER_RUNNING] = "running",
		[CONTAINER_PAUSING] = "being paused",	[CONTAINER_PAUSED] = "paused",
		[CONTAINER_RESUMING] = "being resumed", [CONTAINER_STOPPED] = "stopped",
		[CONTAINER_DELETING] = "being deleted",
	};

	return names[c->state];
}

/* Take away all that a container had; it is freed. What fails is logged: nobody can do more. */
static void discard(struct container *c)
{
	struct container **at = &c->vm->containers;
	char state[sizeof(CRUN_ROOT) + 1 + BOX_NAME_MAX];
	struct qbx_err err = { 0 };

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	exec_free_all(c);
	seal_end(c);
	oom_forget(c);
	process_free(&c->init);
	snprintf(state, sizeof(state), CRUN_ROOT "/%s", c->id);
	if (rootfs_unmount(c->dir, &err) < 0 || io_remove_tree(AT_FDCWD, c->dir, &err) < 0 ||
	    io_remove_tree(AT_FDCWD, state, &err) < 0)
		log_error("container %s: %s", c->id, err.msg);
	if (c->cgroup[0])
		cgroup_prune(c->cgroup);
	free(c->written);
	free(c->bundle);
	free(c);
}

/* crun has ended: other calls may have it now, and the end of init may be told. */
static void settle(struct container *c, enum container_state state)
{
	c->call = NULL;
	c->state = c->init.ended ? CONTAINER_STOPPED : state;
	process_hold(&c->init, false);
}

static void begin(struct container *c, enum container_state state, struct ttrpc_call *call)
{
	c->state = state;
	c->call = call;
	process_hold(&c->init, true);
}

/* ---- delete ---- */

static void on_deleted(void *arg, const struct qbx_err *err)
{
	Qemubox__Task__DeleteResponse r = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct container *c = arg;
	struct ttrpc_call *call = c->call;

	if (err) {
		c->forgetting = false;
		settle(c, CONTAINER_STOPPED);
		ttrpc_fail_err(call, err);
		return;
	}
	r.pid = (uint32_t)c->init.pid;
	r.exit_status = (uint32_t)c->init.status;
	at.seconds = c->init.ended_at.tv_sec;
	at.nanos = (int32_t)c->init.ended_at.tv_nsec;
	r.exited_at = &at;
	discard(c);
	ttrpc_reply(call, &r.base);
}

/* Have crun forget the container, when init and all execs have ended. */
static void run_delete(struct container *c)
{
	const char *args[] = { "delete", "--force", c->id, NULL };
	struct qbx_err err = { 0 };

	if (!c->init.ended || c->forgetting || exec_busy(c))
		return;
	c->forgetting = true;
	if (crun_run(c->vm, c->dir, args, NULL, on_deleted, c, &err) < 0)
		on_deleted(c, &err);
}

void container_quiet(struct container *c)
{
	pause_go_on(c);
	if (c->state == CONTAINER_DELETING)
		run_delete(c);
}

void container_delete(struct container *c, struct ttrpc_call *call)
{
	if (c->state == CONTAINER_STOPPED) {
		begin(c, CONTAINER_DELETING, call);
		run_delete(c);
	} else if (c->state == CONTAINER_CREATED) {
		begin(c, CONTAINER_DELETING, call);
		kill(c->init.pid, SIGKILL);
	} else {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is %s", c->id,
			   container_state_name(c));
	}
}

/* ---- the end of init ---- */

static void on_init_ended(void *arg)
{
	struct container *c = arg;
	struct qbx_err err = { 0 };

	pause_ended(c);
	/*
	 * Without a pid namespace of its own, what it started would live on and hold its streams.
	 */
	if (cgroup_kill(c->cgroup, &err) < 0)
		log_warn("container %s: %s", c->id, err.msg);
	oom_look(c);
	if (c->state == CONTAINER_DELETING)
		run_delete(c);
	else if (c->state != CONTAINER_STARTING) /* which settle() looks after */
		c->state = CONTAINER_STOPPED;
	shutdown_check(c->vm);
}

/* ---- start ---- */

static void on_started(void *arg, const struct qbx_err *err)
{
	Qemubox__Task__StartResponse r = QEMUBOX__TASK__START_RESPONSE__INIT;
	struct container *c = arg;
	struct ttrpc_call *call = c->call;

	r.pid = (uint32_t)c->init.pid;
	if (err)
		ttrpc_fail_err(call, err);
	else
		ttrpc_reply(call, &r.base);
	settle(c, err ? CONTAINER_CREATED : CONTAINER_RUNNING);
}

void container_start(struct container *c, struct ttrpc_call *call)
{
	const char *args[] = { "start", c->id, NULL };
	struct qbx_err err = { 0 };

	if (c->state != CONTAINER_CREATED) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION,
			   "container %s is %s, not waiting to be started", c->id,
			   container_state_name(c));
		return;
	}
	begin(c, CONTAINER_STARTING, call);
	if (crun_run(c->vm, c->dir, args, NULL, on_started, c, &err) < 0)
		on_started(c, &err);
}

/* ---- create ---- */

static void fail_create(struct container *c, const struct qbx_err *err)
{
	struct ttrpc_call *call = c->call;
	struct qbx_err ignored = { 0 };

	if (c->cgroup[0] && cgroup_kill(c->cgroup, &ignored) < 0)
		log_warn("container %s: %s", c->id, ignored.msg);
	/* Told before its streams break off: the host is to see the reason first. */
	ttrpc_fail_err(call, err);
	discard(c);
}

static void on_created(void *arg, const struct qbx_err *failed)
{
	Qemubox__Task__CreateResponse r = QEMUBOX__TASK__CREATE_RESPONSE__INIT;
	struct container *c = arg;
	struct ttrpc_call *call = c->call;
	char pid_file[sizeof(c->dir) + 8];
	struct qbx_err err = { 0 };
	pid_t pid = 0;

	snprintf(pid_file, sizeof(pid_file), "%s/pid", c->dir);
	if (failed) {
		fail_create(c, failed);
		return;
	}
	if (crun_read_pid(pid_file, &pid, &err) < 0 || process_begin_io(&c->init, &err) < 0 ||
	    oom_watch(c, &err) < 0 || process_watch(&c->init, pid, &err) < 0) {
		err.sys = 0;
		fail_create(c, &err);
		return;
	}
	r.pid = (uint32_t)pid;
	ttrpc_reply(call, &r.base);
	settle(c, CONTAINER_CREATED);
}

static int run_create(struct container *c, const int fds[3], struct qbx_err *err)
{
	char pid_file[sizeof(c->dir) + 8];
	char console[sizeof(c->dir) + sizeof(TERMINAL_SOCKET) + 1];
	const char *args[9] = { "create", "--bundle", c->dir, "--pid-file", pid_file };
	size_t n = 5;

	snprintf(pid_file, sizeof(pid_file), "%s/pid", c->dir);
	snprintf(console, sizeof(console), "%s/" TERMINAL_SOCKET, c->dir);
	if (c->init.terminal) {
		args[n++] = "--console-socket";
		args[n++] = console;
	}
	args[n] = c->id;
	return crun_run(c->vm, c->dir, args, &(struct crun_child){ .fds = fds }, on_created, c,
			err);
}

/* Parameters of the VM's own network namespace, checked by spec_adapt(). */
static int set_sysctls(json_t *sysctls, struct qbx_err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (sysctls, key, value) {
		const char *text = json_string_value(value);
		_cleanup_close_ int fd = -1;
		char path[160];

		snprintf(path, sizeof(path), "/proc/sys/%s", key);
		if (!strchr(key, '/')) /* else a dot is part of an interface's name: sysctl(8) */
			for (char *p = path + strlen("/proc/sys/"); *p; p++)
				*p = *p == '.' ? '/' : *p;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, text, strlen(text)) < 0) {
			err_sys(err, errno, "set sysctl %s", key);
			err->sys = 0;
			return -1;
		}
	}
	return 0;
}

/* Killing one container's cgroup must not reach another one's. */
static int check_cgroup(const struct vm *vm, const char *cgroup, struct qbx_err *err)
{
	for (const struct container *c = vm->containers; c; c = c->next) {
		size_t a = strlen(c->cgroup), b = strlen(cgroup), shorter = a < b ? a : b;

		if (a && !strncmp(c->cgroup, cgroup, shorter) &&
		    (a == b || (a < b ? cgroup : c->cgroup)[shorter] == '/'))
			return err_code(err, EX_DATAERR, "cgroup %s is container %s's", cgroup,
					c->id);
	}
	return 0;
}

static int write_spec(struct container *c, const Qemubox__Task__CreateRequest *r,
		      struct qbx_err *err)
{
	char rootfs[sizeof(c->dir) + 8], config[sizeof(c->dir) + 16];
	_cleanup_(spec_free) struct spec s = {
		.id = c->id, .bundle = c->dir, .rootfs = rootfs, .terminal = r->terminal
	};
	_cleanup_free_ char *text = NULL;

	snprintf(rootfs, sizeof(rootfs), "%s/rootfs", c->dir);
	snprintf(config, sizeof(config), "%s/config.json", c->dir);
	if (!r->options || strcmp(r->options->type_url, GUEST_SPEC_TYPE))
		return err_code(err, EX_DATAERR, "options hold no " GUEST_SPEC_TYPE);
	if (spec_adapt(&s, (const char *)r->options->value.data, r->options->value.len, err) < 0 ||
	    check_cgroup(c->vm, s.cgroup, err) < 0 || set_sysctls(s.sysctls, err) < 0 ||
	    disks_place(s.json, err) < 0 || etc_mount(c->dir, s.json, err) < 0)
		return -1;
	memcpy(c->cgroup, s.cgroup, sizeof(c->cgroup));
	text = json_dumps(s.json, JSON_COMPACT);
	if (!text)
		return err_sys(err, ENOMEM, "write %s", config);
	return io_write_file(AT_FDCWD, config, 0600, text, strlen(text), err);
}

/* All of Create up to crun. */
static int prepare(struct container *c, const Qemubox__Task__CreateRequest *r, struct qbx_err *err)
{
	const char *names[3] = { r->stdin, r->stdout, r->stderr };
	int fds[3] = { -1, -1, -1 }, rc;

	if (mkdir(c->dir, 0711) < 0)
		return err_sys(err, errno, "create directory %s", c->dir);
	/* First of all, so that the streams of a Create that fails do not stay parked. */
	rc = process_open_io(&c->init, names, r->terminal ? c->dir : NULL, fds, err);
	if (rc == 0)
		rc = files_take(c->id, c->dir, err);
	if (rc == 0)
		rc = rootfs_mount(c->dir, r->rootfs, r->n_rootfs, err);
	if (rc == 0)
		rc = seal_note(c, r->rootfs, r->n_rootfs, err);
	if (rc == 0)
		rc = write_spec(c, r, err);
	if (rc == 0)
		rc = run_create(c, fds, err);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}

/* Is there room, and no other one of the name? Answers the call if not. */
static bool may_create(const struct vm *vm, struct ttrpc_call *call,
		       const Qemubox__Task__CreateRequest *r)
{
	unsigned n = 0;

	for (const struct container *c = vm->containers; c; c = c->next)
		n++;
	if (!box_name_ok(r->id))
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "\"%.80s\" is not a container id", r->id);
	else if (container_find(vm, r->id))
		ttrpc_fail(call, TTRPC_ALREADY_EXISTS, "container %s exists", r->id);
	else if (n >= CONTAINERS_MAX)
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%u containers are the most",
			   CONTAINERS_MAX);
	else if (vm->going_down)
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "the guest is going down");
	else if (r->checkpoint[0] || r->parent_checkpoint[0])
		ttrpc_fail(call, TTRPC_UNIMPLEMENTED, "checkpoints are not implemented");
	else
		return true;
	return false;
}

void container_create(struct vm *vm, struct ttrpc_call *call, const Qemubox__Task__CreateRequest *r)
{
	struct qbx_err err = { 0 };
	struct container *c;

	if (!may_create(vm, call, r))
		return;
	c = calloc(1, sizeof(*c));
	if (c)
		c->bundle = strdup(r->bundle);
	if (!c || !c->bundle) {
		free(c);
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "create %s: out of memory", r->id);
		return;
	}
	c->vm = vm;
	c->oom.fd = -1;
	snprintf(c->id, sizeof(c->id), "%s", r->id);
	snprintf(c->dir, sizeof(c->dir), BUNDLE_ROOT "/%s", r->id);
	process_init(&c->init, vm, on_init_ended, c);
	begin(c, CONTAINER_CREATING, call);
	c->next = vm->containers;
	vm->containers = c;
	if (prepare(c, r, &err) < 0)
		fail_create(c, &err);
}

void container_unmount(struct container *c)
{
	struct qbx_err err = { 0 };

	if (rootfs_unmount(c->dir, &err) < 0)
		log_error("container %s: %s", c->id, err.msg);
}
