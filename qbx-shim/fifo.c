/* SPDX-License-Identifier: Apache-2.0 */
/* fifo.c - a process's stdio: FIFOs and streams */
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "uri.h"

#define DIAL_MS 60000u	/* for one stream to be connected */
#define READY_MS 10000u /* for a logger to be ready, once there is output to come */

static const char *const names[FIFO_COUNT] = { "stdin", "stdout", "stderr" };

/* ---- opening ---- */

void fifos_init(struct fifos *io, struct loop *loop)
{
	memset(io, 0, sizeof(*io));
	io->loop = loop;
	io->keep = -1;
	for (int i = 0; i < FIFO_COUNT; i++)
		io->f[i] = (struct fifo){ .all = io, .fd = -1, .sock = -1 };
}

static void on_logger_ended(void *arg);

/* With a terminal, what would be standard error goes to it, too. */
static bool is_used(const struct fifos *io, int which)
{
	return io->f[which].path[0] && !(which == FIFO_STDERR && io->terminal);
}

/* Do both outputs go to the same place? */
static bool is_shared(const struct fifos *io)
{
	return is_used(io, FIFO_STDERR) &&
	       !strcmp(io->f[FIFO_STDOUT].path, io->f[FIFO_STDERR].path);
}

static int open_path(const char *path, int flags, const char *name, struct qbx_err *err)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "open %s %s", name, path) : fd;
}

static int open_file(struct fifos *io, int which, const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *dir = strdup(path);
	struct fifo *f = &io->f[which];

	if (!dir)
		return err_sys(err, ENOMEM, "open %s", names[which]);
	*strrchr(dir, '/') = '\0';
	if (dir[0] && io_mkdirs(dir, 0755, err) < 0)
		return -1;
	f->fd = open_path(path, O_WRONLY | O_APPEND | O_CREAT, names[which], err);
	if (f->fd < 0 || which != FIFO_STDOUT || !is_shared(io))
		return f->fd < 0 ? -1 : 0;
	io->f[FIFO_STDERR].fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	return io->f[FIFO_STDERR].fd < 0 ? err_sys(err, errno, "open %s", path) : 0;
}

static int open_logger(struct fifos *io, int which, const struct uri *uri, struct qbx_err *err)
{
	const struct logger_name name = { io->id, io->namespace };
	struct fifo *f = &io->f[which];
	int pipes[LOGGER_PIPES], other = which == FIFO_STDOUT ? LOGGER_STDERR : LOGGER_STDOUT;

	f->logger = logger_start(io->loop, uri, &name, pipes, on_logger_ended, f, err);
	if (!f->logger)
		return err_wrap(err, "logger of %s", names[which]);
	f->fd = pipes[which == FIFO_STDOUT ? LOGGER_STDOUT : LOGGER_STDERR];
	if (which == FIFO_STDOUT && is_shared(io))
		io->f[FIFO_STDERR].fd = pipes[other];
	else
		close(pipes[other]);
	return 0;
}

static int open_output(struct fifos *io, int which, struct qbx_err *err)
{
	_cleanup_(uri_free) struct uri uri = { 0 };
	struct fifo *f = &io->f[which];

	if (f->fd >= 0) /* by the other one, which is the same */
		return 0;
	if (uri_parse(&uri, f->path, err) < 0)
		return err_wrap(err, "%s %.200s", names[which], f->path);
	switch (uri.kind) {
	case URI_FILE:
		return open_file(io, which, uri.path, err);
	case URI_BINARY:
		return open_logger(io, which, &uri, err);
	case URI_FIFO:
		f->fd = open_path(uri.path, O_RDWR, names[which], err);
		return f->fd < 0 ? -1 : 0;
	default: /* URI_NONE is not used */
		return 0;
	}
}

/* With our writing end of it, which a regular file needs none of. */
static int open_input(struct fifos *io, struct qbx_err *err)
{
	_cleanup_(uri_free) struct uri uri = { 0 };
	struct fifo *f = &io->f[FIFO_STDIN];

	if (uri_parse(&uri, f->path, err) < 0)
		return err_wrap(err, "%s %.200s", names[FIFO_STDIN], f->path);
	f->fd = open_path(uri.path, O_RDONLY, names[FIFO_STDIN], err);
	if (f->fd < 0)
		return -1;
	if (uri.kind == URI_FILE || io->stdin_closed)
		return 0;
	io->keep = open_path(uri.path, O_WRONLY, names[FIFO_STDIN], err);
	if (io->keep >= 0)
		return 0;
	close(take_fd(&f->fd));
	return -1;
}

/* It is opened late, but what is wrong with its name is said early. */
static int check_input(const struct fifos *io, struct qbx_err *err)
{
	_cleanup_(uri_free) struct uri uri = { 0 };
	const char *name = io->f[FIFO_STDIN].path;

	if (uri_parse(&uri, name, err) < 0)
		return err_wrap(err, "%s %.200s", names[FIFO_STDIN], name);
	if (uri.kind == URI_BINARY)
		return err_sys(err, ENOTSUP, "%s from a program, %.200s", names[FIFO_STDIN], name);
	return 0;
}

int fifos_open(struct fifos *io, struct loop *loop, const char *const paths[FIFO_COUNT],
	       struct qbx_err *err)
{
	io->loop = loop;
	for (int i = 0; i < FIFO_COUNT; i++) {
		io->f[i].path = strdup(paths[i]);
		if (!io->f[i].path)
			return err_sys(err, ENOMEM, "open %s", names[i]);
	}
	if (check_input(io, err) < 0)
		return -1;
	for (int i = FIFO_STDOUT; i < FIFO_COUNT; i++)
		if (is_used(io, i) && open_output(io, i, err) < 0)
			return -1;
	return 0;
}

/* ---- streaming ---- */

static bool output_over(const struct fifos *io)
{
	for (int i = FIFO_STDOUT; i < FIFO_COUNT; i++)
		if (io->f[i].stream || (io->f[i].logger && !logger_ended(io->f[i].logger)))
			return false;
	return true;
}

static void on_drained(void *arg)
{
	struct fifos *io = arg;
	loop_fn *fn = io->drained;

	io->deferred = NULL;
	loop_remove(io->timer);
	io->timer = NULL;
	io->drained = NULL;
	fn(io->arg);
}

/* Told from the loop, when the streams have closed their FIFOs. */
static void drained_soon(struct fifos *io)
{
	if (!io->drained || io->deferred)
		return;
	io->deferred = loop_defer(io->loop, on_drained, io);
	if (!io->deferred)
		BUG("out of memory"); /* the exit could never be told */
}

static void on_stream_done(void *arg, enum stream_end end)
{
	struct fifo *f = arg;
	const char *name = names[f - f->all->f];

	f->stream = NULL;
	if (end == STREAM_BROKEN && f != &f->all->f[FIFO_STDIN])
		log_warn("%s: the guest's stream broke off: output may be missing", name);
	if (end == STREAM_SINK_GONE)
		log_warn("%s: %s took no more: output is missing", name, f->path);
	if (output_over(f->all))
		drained_soon(f->all);
}

static void on_logger_ended(void *arg)
{
	struct fifo *f = arg;

	if (f->stream || f->dial)
		log_warn("logger %s: ended before the output did: the rest is dropped",
			 logger_path(f->logger));
	if (output_over(f->all))
		drained_soon(f->all);
}

static void tell_dialled(struct fifos *io, const struct qbx_err *err)
{
	void (*fn)(void *arg, const struct qbx_err *err) = io->dialled;

	io->dialled = NULL;
	if (fn)
		fn(io->arg, err);
}

/* One of those that are waited for has come back. */
static void came_back(struct fifos *io, const struct qbx_err *err)
{
	io->dialling--;
	if (err || io->dialling == 0)
		tell_dialled(io, err);
}

static void on_logger_ready(void *arg, const struct qbx_err *err)
{
	struct fifo *f = arg;

	came_back(f->all, err);
}

static void on_dialled(void *arg, int sock, const struct qbx_err *err)
{
	struct fifo *f = arg;
	struct fifos *io = f->all;
	struct qbx_err own = { 0 };

	f->dial = NULL;
	if (sock >= 0 && f == &io->f[FIFO_STDIN]) {
		f->sock = sock;
	} else if (sock >= 0) {
		f->stream = stream_recv(io->loop, sock, take_fd(&f->fd), on_stream_done, f, &own);
		err = f->stream ? NULL : &own;
		if (f->stream)
			stream_outlive_sink(f->stream);
	}
	came_back(io, err);
}

static void on_nothing_to_dial(void *arg)
{
	struct fifos *io = arg;

	io->deferred = NULL;
	tell_dialled(io, NULL);
}

int fifos_dial(struct fifos *io, const struct guest *g, uint32_t *next_number,
	       void (*dialled)(void *arg, const struct qbx_err *err), void *arg,
	       struct qbx_err *err)
{
	io->arg = arg;
	for (int i = 0; i < FIFO_COUNT; i++) {
		struct fifo *f = &io->f[i];

		if (!is_used(io, i))
			continue;
		f->number = (*next_number)++;
		f->dial = guest_dial(io->loop, g, GUEST_PORT_STREAM, f->number, DIAL_MS, on_dialled,
				     f, err);
		if (!f->dial ||
		    (f->logger && logger_await(f->logger, READY_MS, on_logger_ready, err) < 0))
			return err_wrap(err, "%s", names[i]);
		io->dialling += f->logger ? 2 : 1;
	}
	if (io->dialling == 0) {
		io->deferred = loop_defer(io->loop, on_nothing_to_dial, io);
		if (!io->deferred)
			return err_sys(err, ENOMEM, "connect stdio");
	}
	io->dialled = dialled;
	return 0;
}

int fifos_start(struct fifos *io, struct qbx_err *err)
{
	struct fifo *f = &io->f[FIFO_STDIN];

	if (f->sock < 0)
		return 0;
	if (open_input(io, err) < 0)
		return -1;
	f->stream =
		stream_send(io->loop, take_fd(&f->fd), take_fd(&f->sock), on_stream_done, f, err);
	return f->stream ? 0 : -1;
}

void fifos_numbers(const struct fifos *io, uint32_t numbers[FIFO_COUNT])
{
	for (int i = 0; i < FIFO_COUNT; i++)
		numbers[i] = io->f[i].number;
}

/* ---- draining ---- */

static unsigned long long moved(const struct fifos *io)
{
	unsigned long long sum = 0;

	for (int i = FIFO_STDOUT; i < FIFO_COUNT; i++)
		if (io->f[i].stream)
			sum += stream_moved(io->f[i].stream);
	return sum;
}

static void set_timer(struct fifos *io);

static void on_stall_timer(void *arg)
{
	struct fifos *io = arg;
	unsigned long long now = moved(io);

	io->timer = NULL;
	if (now != io->moved) {
		io->moved = now;
		set_timer(io);
		return;
	}
	for (int i = FIFO_STDOUT; i < FIFO_COUNT; i++) {
		struct fifo *f = &io->f[i];

		if (f->stream)
			log_warn("%s: nothing was taken for %u ms after the exit: the rest is "
				 "dropped",
				 names[i], io->stall_ms);
		stream_free(take_ptr(f->stream));
		if (f->logger && !logger_ended(f->logger))
			log_warn("logger %s: runs on after the end of its input",
				 logger_path(f->logger));
		logger_free(take_ptr(f->logger));
	}
	drained_soon(io);
}

static void set_timer(struct fifos *io)
{
	struct qbx_err err = { 0 };

	loop_remove(io->timer);
	io->timer = loop_add_timer(io->loop, io->stall_ms, on_stall_timer, io, &err);
	if (!io->timer)
		log_error("the drain of output is not bounded: %s", err.msg);
}

void fifos_drain(struct fifos *io, unsigned stall_ms, loop_fn *drained)
{
	io->drained = drained;
	io->stall_ms = stall_ms;
	io->moved = moved(io);
	if (output_over(io))
		drained_soon(io);
	else
		set_timer(io);
}

void fifos_hold(struct fifos *io, bool hold)
{
	if (io->f[FIFO_STDIN].stream)
		stream_hold(io->f[FIFO_STDIN].stream, hold);
}

void fifos_close_stdin(struct fifos *io)
{
	io->stdin_closed = true;
	if (io->keep >= 0)
		close(take_fd(&io->keep));
}

void fifos_close(struct fifos *io)
{
	fifos_close_stdin(io);
	loop_remove(io->timer);
	loop_remove(io->deferred);
	io->timer = NULL;
	io->deferred = NULL;
	io->dialled = NULL;
	io->drained = NULL;
	for (int i = 0; i < FIFO_COUNT; i++) {
		struct fifo *f = &io->f[i];

		guest_dial_cancel(take_ptr(f->dial));
		stream_free(take_ptr(f->stream));
		logger_free(take_ptr(f->logger));
		if (f->fd >= 0)
			close(take_fd(&f->fd));
		if (f->sock >= 0)
			close(take_fd(&f->sock));
	}
}
