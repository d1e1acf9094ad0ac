/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - one process that the host knows */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "terminal.h"

#define DRAIN_MS 10000u

struct waiter {
	struct waiter *next;
	struct ttrpc_call *call;
};

int stream_number(const char *name, uint32_t *number)
{
	const char *digits = name + strlen(GUEST_STREAM_PREFIX);
	unsigned long n;
	size_t len;

	if (strncmp(name, GUEST_STREAM_PREFIX, strlen(GUEST_STREAM_PREFIX)))
		return -1;
	len = strspn(digits, "0123456789");
	if (len == 0 || len > 10 || digits[len])
		return -1;
	n = strtoul(digits, NULL, 10);
	if (n == 0 || n > UINT32_MAX)
		return -1;
	*number = (uint32_t)n;
	return 0;
}

void process_init(struct process *p, struct vm *vm, loop_fn *on_end, void *arg)
{
	memset(p, 0, sizeof(*p));
	p->vm = vm;
	p->on_end = on_end;
	p->arg = arg;
	p->listener = p->console = -1;
	for (int n = 0; n < 3; n++)
		p->pipes[n] = p->socks[n] = -1;
}

/* ---- the end ---- */

static void answer(struct ttrpc_call *call, const struct process *p)
{
	Qemubox__Task__WaitResponse r = QEMUBOX__TASK__WAIT_RESPONSE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	at.seconds = p->ended_at.tv_sec;
	at.nanos = (int32_t)p->ended_at.tv_nsec;
	r.exit_status = (uint32_t)p->status;
	r.exited_at = &at;
	ttrpc_reply(call, &r.base);
}

static void tell(struct process *p)
{
	loop_remove(take_ptr(p->drain));
	p->told = true;
	while (p->waiters) {
		struct waiter *w = p->waiters;

		p->waiters = w->next;
		answer(w->call, p);
		free(w);
	}
}

static void tell_if_drained(struct process *p)
{
	bool drained = p->late || (!p->streams[1] && !p->streams[2]);

	if (p->ended && drained && !p->told && !p->held)
		tell(p);
}

static void on_drain_timeout(void *arg)
{
	struct process *p = arg;

	p->drain = NULL;
	log_warn(
		"process %d ended, but its output does not: the host does not read it, or somebody "
		"else writes it",
		(int)p->pid);
	/* The streams go on until Delete: nothing is thrown away that may still be read. */
	p->late = true;
	tell_if_drained(p);
}

static void on_ended(void *arg, int status)
{
	struct process *p = arg;
	struct qbx_err err = { 0 };

	p->ended = true;
	p->status = status;
	clock_gettime(CLOCK_REALTIME, &p->ended_at);
	p->drain = loop_add_timer(p->vm->loop, DRAIN_MS, on_drain_timeout, p, &err);
	if (!p->drain)
		log_warn("%s", err.msg);
	p->on_end(p->arg);
	tell_if_drained(p);
}

int process_watch(struct process *p, pid_t pid, struct qbx_err *err)
{
	if (child_watch(p->vm, pid, on_ended, p, err) < 0)
		return -1;
	p->pid = pid;
	return 0;
}

void process_hold(struct process *p, bool hold)
{
	p->held = hold;
	tell_if_drained(p);
}

/* Those whose connection has gone would otherwise pile up behind a process that never ends. */
static void forget_gone_waiters(struct process *p)
{
	for (struct waiter **at = &p->waiters; *at;) {
		struct waiter *w = *at;

		if (ttrpc_call_conn(w->call)) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		ttrpc_fail(w->call, TTRPC_CANCELLED, "gone");
		free(w);
	}
}

void process_wait(struct process *p, struct ttrpc_call *call)
{
	struct waiter *w;

	if (p->told) {
		answer(call, p);
		return;
	}
	forget_gone_waiters(p);
	w = malloc(sizeof(*w));
	if (!w) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "wait: out of memory");
		return;
	}
	w->call = call;
	w->next = p->waiters;
	p->waiters = w;
}

/* ---- stdio ---- */

/*
 * Nobody is at the terminal any more. What is in it goes to the host first, and the last descriptor of
 * its master hangs it up.
 */
static void hang_up(struct process *p)
{
	loop_remove(take_ptr(p->sink));
	if (p->console >= 0)
		close(take_fd(&p->console));
	stream_free(take_ptr(p->streams[0]));
	if (p->streams[1])
		stream_drain(p->streams[1]);
}

static void stream_over(struct process *p, int n, enum stream_end end)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };

	p->streams[n] = NULL;
	if (end == STREAM_BROKEN)
		log_warn("process %d: the host dropped its %s", (int)p->pid, names[n]);
	if (p->terminal && (n == 0 || end == STREAM_BROKEN))
		hang_up(p);
	tell_if_drained(p);
}

static void on_stdin_over(void *arg, enum stream_end end)
{
	stream_over(arg, 0, end);
}

static void on_stdout_over(void *arg, enum stream_end end)
{
	stream_over(arg, 1, end);
}

static void on_stderr_over(void *arg, enum stream_end end)
{
	stream_over(arg, 2, end);
}

/* The connection of stream number n. */
static int claim(struct process *p, int n, struct qbx_err *err)
{
	uint32_t number;

	if (stream_number(p->io[n], &number) < 0)
		return err_code(err, EX_DATAERR, "stdio \"%.64s\" is not \"stream:N\"", p->io[n]);
	p->socks[n] = door_claim(p->vm, number);
	if (p->socks[n] < 0)
		return err_code(err, EX_CONFIG, "stream %u was not dialled", number);
	return 0;
}

/* A pipe for stream number n; the process gets *theirs. */
static int open_pipe(struct process *p, int n, int *theirs, struct qbx_err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	*theirs = ends[n == 0 ? 0 : 1];
	p->pipes[n] = ends[n == 0 ? 1 : 0];
	if (io_set_nonblock(p->pipes[n], 1) < 0)
		return err_sys(err, errno, "make a pipe");
	return 0;
}

int process_open_io(struct process *p, const char *const names[3], const char *console_dir,
		    int fds[3], struct qbx_err *err)
{
	p->terminal = console_dir != NULL;
	for (int n = 0; n < 3; n++)
		fds[n] = -1;
	for (int n = 0; n < 3; n++) {
		p->io[n] = strdup(names[n]);
		if (!p->io[n])
			return err_sys(err, ENOMEM, "connect stdio");
		if (names[n][0] && claim(p, n, err) < 0)
			return -1;
		if (names[n][0] && !p->terminal && open_pipe(p, n, &fds[n], err) < 0)
			return -1;
	}
	if (!p->terminal)
		return 0;
	if (names[2][0])
		return err_code(err, EX_DATAERR, "stderr \"%.64s\" of a terminal", names[2]);
	p->listener = terminal_listen(console_dir, err);
	return p->listener < 0 ? -1 : 0;
}

/* A terminal that nobody reads would stop those who write to it. */
static void on_unwanted(void *arg, uint32_t events)
{
	struct process *p = arg;
	char buf[4096];

	(void)events;
	if (read(p->console, buf, sizeof(buf)) < 0 && errno != EAGAIN && errno != EINTR)
		loop_remove(take_ptr(p->sink));
}

/* Each stream gets a descriptor of the terminal of its own. */
static int begin_terminal(struct process *p, struct qbx_err *err)
{
	p->console = terminal_take(p->listener, err);
	close(take_fd(&p->listener));
	if (p->console < 0)
		return -1;
	for (int n = 0; n < 2; n++) {
		if (p->socks[n] < 0)
			continue;
		p->pipes[n] = fcntl(p->console, F_DUPFD_CLOEXEC, 3);
		if (p->pipes[n] < 0)
			return err_sys(err, errno, "connect a terminal");
	}
	if (p->socks[1] < 0) {
		p->sink = loop_add_fd(p->vm->loop, p->console, EPOLLIN, on_unwanted, p, err);
		if (!p->sink)
			return -1;
	}
	if (p->width || p->height)
		return terminal_resize(p->console, p->width, p->height, err);
	return 0;
}

int process_begin_io(struct process *p, struct qbx_err *err)
{
	static stream_done_fn *const over[] = { on_stdin_over, on_stdout_over, on_stderr_over };
	struct loop *loop = p->vm->loop;

	if (p->terminal && begin_terminal(p, err) < 0)
		return -1;
	for (int n = 0; n < 3; n++) {
		int pipe = take_fd(&p->pipes[n]), sock = take_fd(&p->socks[n]);

		if (pipe < 0)
			continue;
		p->streams[n] = n == 0 ? stream_recv(loop, sock, pipe, over[n], p, err)
				       : stream_send(loop, pipe, sock, over[n], p, err);
		if (!p->streams[n])
			return -1;
	}
	return 0;
}

int process_resize(struct process *p, uint32_t width, uint32_t height, struct qbx_err *err)
{
	if (!p->terminal)
		return 0;
	if (width > TERMINAL_SIZE_MAX || height > TERMINAL_SIZE_MAX)
		return err_code(err, EX_DATAERR, "no terminal has %u by %u characters", width,
				height);
	p->width = (uint16_t)width;
	p->height = (uint16_t)height;
	return p->console < 0 ? 0 : terminal_resize(p->console, p->width, p->height, err);
}

void process_free(struct process *p)
{
	if (p->ended)
		tell(p);
	while (p->waiters) {
		struct waiter *w = p->waiters;

		p->waiters = w->next;
		ttrpc_fail(w->call, TTRPC_NOT_FOUND, "it never ran");
		free(w);
	}
	loop_remove(p->sink);
	if (p->listener >= 0)
		close(p->listener);
	if (p->console >= 0)
		close(p->console);
	for (int n = 0; n < 3; n++) {
		stream_free(p->streams[n]);
		if (p->pipes[n] >= 0)
			close(p->pipes[n]);
		if (p->socks[n] >= 0)
			close(p->socks[n]);
		free(p->io[n]);
	}
}
