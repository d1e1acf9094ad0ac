/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreground.c - one process of a VM, in the foreground: its container's first, or a further one
 *
 * Theory of Operation
 *
 * The control connection and one connection a stream are dialled side by side. When all stand:
 * Create -> Start -> Wait, or Exec -> Start -> Wait -> Delete, each sent when the one before was
 * answered. The task is over when Wait has been answered and both output streams have ended: an exit
 * status overtakes output, and all of the output is wanted. A VM that ends meanwhile ends the task at
 * once.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "files.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "stream.h"
#include "task.h"
#include "ttrpc.h"
#include "vm.h"

static const char *const stream_names[] = { "standard input", "standard output", "standard error" };

struct channel {
	struct task *task;
	int which;
	int local; /* taken by the stream */
	bool is_file;
	int sock; /* taken by the stream */
	struct dial *dial;
	struct stream *stream;
	bool wanted, ended;
};

struct task {
	struct vm *vm;
	struct guest guest;
	struct dial *dial;
	struct ttrpc_conn *conn;
	struct files *files; /* while the connection stands */
	struct channel channel[TASK_STREAMS];
	unsigned dialling;
	uint32_t stream;  /* the guest's number of the first channel; the others follow */
	char *spec;	  /* JSON text: of a process when this is an exec */
	char exec_id[24]; /* "" for the container's first process */
	bool started, exited, over;
	bool no_reader; /* it is being ended because nobody reads its standard output */
	unsigned nsignals;
	int status;
	struct qbx_err err;
};

static void over(struct task *t)
{
	t->over = true;
	loop_stop(t->vm->loop);
}

static void on_patience(void *arg)
{
	over(arg);
}

/*
 * A guest that is gone closes its connections before QEMU has ended, and how QEMU ended says more:
 * wait a moment for it.
 */
static void fail_rpc(struct task *t, enum ttrpc_code code, const char *what, const char *message)
{
	struct qbx_err err = { 0 };

	if (code == TTRPC_CANCELLED || t->over)
		return;
	err_code(&t->err, foreground_exit_code(message), "%s: %s", what, message);
	if (code != TTRPC_UNAVAILABLE ||
	    !loop_add_timer(t->vm->loop, VM_GONE_MS, on_patience, t, &err))
		over(t);
}

/* What the guest still held of an exec has gone, or goes with the container. */
static void on_deleted(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	(void)reply;
	if (code != TTRPC_OK)
		log_debug("forget the exec: %s", message);
	if (code != TTRPC_CANCELLED)
		over(arg);
}

static void check_over(struct task *t)
{
	if (!t->exited || !t->channel[TASK_STDOUT].ended || !t->channel[TASK_STDERR].ended)
		return;
	if (t->exec_id[0] && t->conn)
		task_delete(t->conn, t->vm->box->id, t->exec_id, on_deleted, t);
	else
		over(t);
}

int foreground_exit_code(const char *message)
{
	/* What crun says when it looks for the program, and at no other time. */
	if (strstr(message, "is not a regular file"))
		return 126;
	if (!strstr(message, "executable"))
		return EX_UNAVAILABLE;
	return strstr(message, "not found") || strstr(message, "No such file") ? 127 : 126;
}

static void on_killed(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	(void)arg;
	(void)reply;
	if (code != TTRPC_OK && code != TTRPC_NOT_FOUND && code != TTRPC_CANCELLED)
		log_warn("send the container a signal: %s", message);
}

static void send_signal(struct task *t, int sig)
{
	if (t->conn)
		task_kill(t->conn, t->vm->box->id, t->exec_id, (uint32_t)sig, false, on_killed, t);
}

/* ---- streams ---- */

static void on_pipe_patience(void *arg)
{
	struct task *t = arg;

	if (t->exited)
		return;
	t->no_reader = true;
	send_signal(t, SIGKILL);
}

/*
 * Whoever read our standard output has gone. What writes to it in the container gets SIGPIPE or
 * EPIPE; but the container's first process is a PID 1, which SIGPIPE cannot kill, and may write on
 * for ever.
 */
static void on_no_reader(struct task *t)
{
	struct qbx_err err = { 0 };

	if (!loop_add_timer(t->vm->loop, VM_PIPE_MS, on_pipe_patience, t, &err))
		log_warn("%s", err.msg);
}

static void on_stream_end(void *arg, enum stream_end end)
{
	struct channel *c = arg;
	struct task *t = c->task;

	c->stream = NULL;
	c->ended = true;
	if (c->which != TASK_STDIN && end == STREAM_BROKEN && !t->err.code)
		err_code(&t->err, EX_UNAVAILABLE, "%s of the container was cut off",
			 stream_names[c->which]);
	if (c->which != TASK_STDIN && end == STREAM_SINK_GONE && c->is_file && !t->err.code)
		err_code(&t->err, EX_UNAVAILABLE, "%s takes no more", stream_names[c->which]);
	if (c->which == TASK_STDOUT && end == STREAM_SINK_GONE && !c->is_file)
		on_no_reader(t);
	check_over(t);
}

/*
 * A descriptor to write to without ever blocking. O_NONBLOCK on what others share would surprise
 * them, so a pipe or terminal is opened again. A regular file keeps its offset, and cannot block.
 */
static int open_sink(int fd, bool *is_file, struct qbx_err *err)
{
	char path[40];
	struct stat st;
	int own = -1;

	if (fstat(fd, &st) < 0) {
		own = open("/dev/null", O_WRONLY | O_CLOEXEC); /* it was closed by our caller */
		return own < 0 ? err_sys(err, errno, "open /dev/null") : own;
	}
	*is_file = S_ISREG(st.st_mode);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own < 0 ? err_sys(err, errno, "duplicate descriptor %d", fd) : own;
}

static int open_locals(struct task *t, bool with_stdin, struct qbx_err *err)
{
	struct channel *c = t->channel;

	c[TASK_STDIN].local = with_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : -1;
	c[TASK_STDOUT].local = open_sink(STDOUT_FILENO, &c[TASK_STDOUT].is_file, err);
	c[TASK_STDERR].local = open_sink(STDERR_FILENO, &c[TASK_STDERR].is_file, err);
	for (int i = 0; i < TASK_STREAMS; i++)
		c[i].wanted = c[i].local >= 0;
	return c[TASK_STDOUT].wanted && c[TASK_STDERR].wanted ? 0 : -1;
}

static int start_streams(struct task *t)
{
	for (int i = 0; i < TASK_STREAMS; i++) {
		struct channel *c = &t->channel[i];
		int local, sock;

		if (!c->wanted)
			continue;
		local = take_fd(&c->local);
		sock = take_fd(&c->sock);
		c->stream =
			i == TASK_STDIN
				? stream_send(t->vm->loop, local, sock, on_stream_end, c, &t->err)
				: stream_recv(t->vm->loop, sock, local, on_stream_end, c, &t->err);
		if (!c->stream)
			return -1;
	}
	return 0;
}

/* ---- calls, in the order in which they are made ---- */

static void on_exit_status(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			   const char *message)
{
	const Qemubox__Task__WaitResponse *r = (const void *)reply;
	struct task *t = arg;

	if (code != TTRPC_OK) {
		fail_rpc(t, code, "wait for the container", message);
		return;
	}
	t->exited = true;
	t->status = t->no_reader ? 128 + SIGPIPE : (int)(r->exit_status & 0xff);
	stream_free(take_ptr(t->channel[TASK_STDIN].stream));
	check_over(t);
}

static void on_started(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	struct task *t = arg;

	(void)reply;
	if (code != TTRPC_OK) {
		fail_rpc(t, code, t->exec_id[0] ? "start the command" : "start the container",
			 message);
		return;
	}
	phase_mark(&t->vm->phases, "start");
	t->started = true;
	task_wait(t->conn, t->vm->box->id, t->exec_id, on_exit_status, t);
}

static void on_created(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	struct task *t = arg;

	(void)reply;
	if (code != TTRPC_OK) {
		fail_rpc(t, code, t->exec_id[0] ? "exec" : "create the container", message);
		return;
	}
	phase_mark(&t->vm->phases, "create");
	if (start_streams(t) < 0) {
		over(t);
		return;
	}
	task_start(t->conn, t->vm->box->id, t->exec_id, on_started, t);
}

static void create(struct task *t)
{
	json_t *mounts = json_object_get(json_object_get(t->vm->box->doc, "fs"), "mounts");
	struct task_io io = { 0 };

	for (int i = 0; i < TASK_STREAMS; i++)
		io.streams[i] = t->channel[i].wanted ? t->stream + (uint32_t)i : 0;
	if (t->exec_id[0])
		task_exec(t->conn, t->vm->box->id, t->exec_id, t->spec, strlen(t->spec), &io,
			  on_created, t);
	else if (task_create(t->conn, t->vm->box->id, t->spec, strlen(t->spec), mounts, &io,
			     on_created, t, &t->err) < 0)
		over(t);
}

static void on_files(void *arg, enum ttrpc_code code, const char *message)
{
	struct task *t = arg;

	if (code != TTRPC_OK)
		fail_rpc(t, code, "send the files", message);
	else
		create(t);
}

/* A container has files that are sent first. */
static void begin(struct task *t)
{
	const json_t *fs = json_object_get(t->vm->box->doc, "fs");

	if (t->exec_id[0]) {
		create(t);
		return;
	}
	t->files = files_new(t->vm->loop, json_object_get(fs, "volumes"), t->vm->box->id, &t->err);
	if (!t->files || files_send(t->files, t->conn, on_files, t, &t->err) < 0)
		over(t);
}

/*
 * Before Start there is nobody to pass it to; after the exit it means: do not wait for the output.
 * The container's first process is a PID 1, which ignores what it has no handler for: insisting
 * helps.
 */
static void pass_signal(struct task *t)
{
	int sig = t->vm->signal;

	t->vm->signal = 0;
	if (t->started && !t->exited && ++t->nsignals < VM_SIGNALS_MAX) {
		send_signal(t, sig);
		return;
	}
	/* A VM ends with its run; an exec has to be ended by itself. */
	if (t->exec_id[0] && t->started && !t->exited && t->nsignals == VM_SIGNALS_MAX) {
		send_signal(t, SIGKILL);
		return;
	}
	t->status = t->exited ? t->status : 128 + sig;
	over(t);
}

static void on_vm(void *arg)
{
	struct task *t = arg;

	if (t->vm->qemu_gone || t->vm->helper_gone || t->vm->share_gone) {
		vm_why_gone(t->vm, &t->err);
		over(t);
	} else if (t->vm->signal) {
		pass_signal(t);
	}
}

/* ---- dialling ---- */

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct task *t = arg;

	(void)conn;
	t->conn = NULL;
	files_free(take_ptr(t->files));
}

static void on_dialled(struct task *t, const struct qbx_err *err)
{
	if (err && !t->err.code)
		t->err = *err;
	if (t->err.code)
		over(t);
	else if (--t->dialling == 0)
		begin(t);
}

static void on_control(void *arg, int fd, const struct qbx_err *err)
{
	struct task *t = arg;
	struct qbx_err e = { 0 };

	t->dial = NULL;
	if (fd >= 0) {
		t->conn = ttrpc_new(t->vm->loop, fd, NULL, NULL, on_closed, t, &e);
		err = t->conn ? NULL : &e;
	}
	on_dialled(t, err);
}

static void on_channel(void *arg, int fd, const struct qbx_err *err)
{
	struct channel *c = arg;

	c->dial = NULL;
	c->sock = fd;
	on_dialled(c->task, err);
}

static int dial_all(struct task *t, struct qbx_err *err)
{
	struct loop *loop = t->vm->loop;

	t->dial =
		guest_dial(loop, &t->guest, GUEST_PORT_CONTROL, 0, VM_DIAL_MS, on_control, t, err);
	if (!t->dial)
		return -1;
	t->dialling = 1;
	for (int i = 0; i < TASK_STREAMS; i++) {
		struct channel *c = &t->channel[i];

		if (!c->wanted)
			continue;
		c->dial = guest_dial(loop, &t->guest, GUEST_PORT_STREAM, t->stream + (uint32_t)i,
				     VM_DIAL_MS, on_channel, c, err);
		if (!c->dial)
			return -1;
		t->dialling++;
	}
	return 0;
}

/* ---- the whole ---- */

static void task_free(struct task *t)
{
	ttrpc_free(take_ptr(t->conn));
	files_free(t->files);
	guest_dial_cancel(t->dial);
	for (int i = 0; i < TASK_STREAMS; i++) {
		guest_dial_cancel(t->channel[i].dial);
		stream_free(t->channel[i].stream);
		cleanup_closep(&t->channel[i].local);
		cleanup_closep(&t->channel[i].sock);
	}
	free(t->spec);
	guest_close(&t->guest);
}

static int run_loop(struct task *t, struct qbx_err *err)
{
	t->vm->notify = on_vm;
	t->vm->notify_arg = t;
	on_vm(t); /* what came between boot and now */
	while (!t->over)
		if (loop_run(t->vm->loop, err) < 0)
			return -1;
	t->vm->notify = NULL;
	if (!t->err.code)
		return 0;
	*err = t->err;
	return -1;
}

static int foreground(struct task *t, const json_t *spec, bool with_stdin, int *status,
		      struct qbx_err *err)
{
	for (int i = 0; i < TASK_STREAMS; i++)
		t->channel[i] = (struct channel){ .task = t, .which = i, .local = -1, .sock = -1 };
	t->spec = json_dumps(spec, JSON_COMPACT);
	if (!t->spec)
		return err_sys(err, ENOMEM, "write the specification");
	if (guest_open(&t->guest, t->vm->cfg, t->vm->box, err) < 0 ||
	    open_locals(t, with_stdin, err) < 0 || dial_all(t, err) < 0 || run_loop(t, err) < 0)
		return -1;
	*status = t->status;
	return 0;
}

int foreground_run(struct vm *vm, const json_t *spec, bool with_stdin, int *status,
		   struct qbx_err *err)
{
	_cleanup_(task_free) struct task t = { .vm = vm, .guest = { .dirfd = -1 }, .stream = 1 };

	if (foreground(&t, spec, with_stdin, status, err) < 0)
		return -1;
	phase_mark(&vm->phases, "run");
	return 0;
}

int foreground_exec(struct vm *vm, const json_t *process, bool with_stdin, int *status,
		    struct qbx_err *err)
{
	_cleanup_(task_free) struct task t = { .vm = vm, .guest = { .dirfd = -1 } };
	uint32_t random;

	/* Others dial this guest as well: a number that nobody else has, as good as surely. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, errno, "get random bytes");
	t.stream = (random | 1u << 31) & ~3u;
	snprintf(t.exec_id, sizeof(t.exec_id), "exec-%08x", (unsigned)random);
	return foreground(&t, process, with_stdin, status, err);
}
