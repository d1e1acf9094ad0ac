/* SPDX-License-Identifier: Apache-2.0 */
/* fifo.c - a process's stdio: FIFOs and streams */
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "log.h"

#define DIAL_MS 60000u /* for one stream to be connected */

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

/* The path behind a scheme that we know, or NULL. @file: append to a regular file. */
static const char *local_path(const char *uri, bool *file)
{
	*file = !strncmp(uri, "file://", 7);
	if (*file || !strncmp(uri, "fifo://", 7))
		uri += 7;
	return uri[0] == '/' ? uri : NULL;
}

/* Open one of them. Return: descriptor, or -1 with @err. */
static int open_one(const struct fifos *io, int which, struct qbx_err *err)
{
	int flags = which == FIFO_STDIN ? O_RDONLY : O_RDWR, fd;
	const char *uri = io->f[which].path, *path;
	bool file;

	path = local_path(uri, &file);
	if (!path)
		return err_sys(err, ENOTSUP, "%s %s: neither a path nor file://", names[which],
			       uri);
	if (file && which != FIFO_STDIN)
		flags = O_WRONLY | O_APPEND | O_CREAT;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, errno, "open %s %s", names[which], path) : fd;
}

/* Our writing end of stdin; a regular file needs none. */
static int keep_stdin(struct fifos *io, struct qbx_err *err)
{
	bool file;
	const char *path = local_path(io->f[FIFO_STDIN].path, &file);

	if (file || io->stdin_closed)
		return 0;
	io->keep = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return io->keep < 0 ? err_sys(err, errno, "open stdin %s for writing", path) : 0;
}

int fifos_open(struct fifos *io, struct loop *loop, const char *const paths[FIFO_COUNT],
	       struct qbx_err *err)
{
	fifos_init(io, loop);
	for (int i = 0; i < FIFO_COUNT; i++) {
		io->f[i].path = strdup(paths[i]);
		if (!io->f[i].path)
			return err_sys(err, ENOMEM, "open %s", names[i]);
	}
	for (int i = FIFO_STDOUT; i < FIFO_COUNT; i++) {
		if (!paths[i][0])
			continue;
		io->f[i].fd = open_one(io, i, err);
		if (io->f[i].fd < 0)
			return -1;
	}
	return 0;
}

/* ---- streaming ---- */

static bool output_over(const struct fifos *io)
{
	return !io->f[FIFO_STDOUT].stream && !io->f[FIFO_STDERR].stream;
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
		log_warn("%s: %s takes no more: output is missing", name, f->path);
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

static void on_dialled(void *arg, int sock, const struct qbx_err *err)
{
	struct fifo *f = arg;
	struct fifos *io = f->all;
	struct qbx_err own = { 0 };

	f->dial = NULL;
	io->dialling--;
	if (sock >= 0 && f == &io->f[FIFO_STDIN]) {
		f->sock = sock;
	} else if (sock >= 0) {
		f->stream = stream_recv(io->loop, sock, take_fd(&f->fd), on_stream_done, f, &own);
		err = f->stream ? NULL : &own;
	}
	if (err || io->dialling == 0)
		tell_dialled(io, err);
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

		if (!f->path[0])
			continue;
		f->number = (*next_number)++;
		f->dial = guest_dial(io->loop, g, GUEST_PORT_STREAM, f->number, DIAL_MS, on_dialled,
				     f, err);
		if (!f->dial)
			return err_wrap(err, "%s", names[i]);
		io->dialling++;
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
	f->fd = open_one(io, FIFO_STDIN, err);
	if (f->fd < 0)
		return -1;
	if (keep_stdin(io, err) < 0) {
		close(take_fd(&f->fd));
		return -1;
	}
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
		if (!io->f[i].stream)
			continue;
		log_warn("%s: nothing was taken for %u ms after the exit: the rest is dropped",
			 names[i], io->stall_ms);
		stream_free(take_ptr(io->f[i].stream));
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
		if (f->fd >= 0)
			close(take_fd(&f->fd));
		if (f->sock >= 0)
			close(take_fd(&f->sock));
	}
}
