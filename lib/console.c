/* SPDX-License-Identifier: Apache-2.0 */
/* console.c - the log of a guest's console */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "io.h"
#include "log.h"

struct console {
	struct loop *loop;
	int dirfd; /* borrowed */
	int inotify, log;
	size_t max;
	struct watch *watch, *rest;
};

/* ---- keeping it below a size ---- */

/* The log from @from to its end, which may move on meanwhile, as CONSOLE_OLD. */
static int save(const struct console *c, off_t from, struct qbx_err *err)
{
	_cleanup_close_ int old = openat(
		c->dirfd, CONSOLE_OLD, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	off_t end = from + 2 * (off_t)c->max;
	char buf[32768];
	ssize_t n;

	if (old < 0)
		return err_sys(err, errno, "create " CONSOLE_OLD);
	for (; from < end; from += n) {
		n = pread(c->log, buf, sizeof(buf), from);
		if (n == 0)
			break;
		if (n < 0 || io_write_all(old, buf, (size_t)n) < 0)
			return err_sys(err, errno, "write " CONSOLE_OLD);
	}
	return 0;
}

/* What cannot be saved is dropped all the same: the bound comes first. */
static void keep_below(const struct console *c)
{
	struct qbx_err err = { 0 };
	struct stat st;

	if (fstat(c->log, &st) < 0 || st.st_size <= (off_t)c->max)
		return;
	if (save(c, st.st_size - (off_t)c->max, &err) < 0)
		log_warn("%s", err.msg);
	if (ftruncate(c->log, 0) < 0)
		log_warn("empty " CONSOLE_LOG ": %s", strerror(errno));
}

static void on_rested(void *arg)
{
	struct console *c = arg;
	char events[4096];

	c->rest = NULL;
	while (read(c->inotify, events, sizeof(events)) > 0)
		; /* all of them say the same */
	keep_below(c);
	loop_set_events(c->watch, EPOLLIN);
}

/* Not at once and not for each write: there may be very many. */
static void on_written(void *arg, uint32_t events)
{
	struct console *c = arg;
	struct qbx_err err = { 0 };

	(void)events;
	loop_set_events(c->watch, 0);
	c->rest = loop_add_timer(c->loop, CONSOLE_REST_MS, on_rested, c, &err);
	if (!c->rest)
		on_rested(c);
}

struct console *console_keep(struct loop *loop, int dirfd, size_t max, struct qbx_err *err)
{
	struct console *c = calloc(1, sizeof(*c));
	char path[64];

	if (!c) {
		err_sys(err, ENOMEM, "watch " CONSOLE_LOG);
		return NULL;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d/" CONSOLE_LOG, dirfd);
	*c = (struct console){ .loop = loop, .dirfd = dirfd, .max = max };
	c->log = openat(dirfd, CONSOLE_LOG, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	c->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->log < 0 || c->inotify < 0 || inotify_add_watch(c->inotify, path, IN_MODIFY) < 0)
		err_sys(err, errno, "watch " CONSOLE_LOG);
	else
		c->watch = loop_add_fd(loop, c->inotify, EPOLLIN, on_written, c, err);
	if (!c->watch) {
		console_free(c);
		return NULL;
	}
	keep_below(c); /* what came before anybody watched */
	return c;
}

void console_free(struct console *c)
{
	if (!c)
		return;
	loop_remove(c->watch);
	loop_remove(c->rest);
	cleanup_closep(&c->inotify);
	cleanup_closep(&c->log);
	free(c);
}

/* ---- its end ---- */

/* The last bytes of a file, at most @size of them. Return: how many. */
static size_t read_end(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	n = pread(fd, buf, size, st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
	return n > 0 ? (size_t)n : 0;
}

void console_tail(int dirfd, char *buf, size_t size)
{
	size_t room = size - 1, new = read_end(dirfd, CONSOLE_LOG, buf, room), old;

	/* In front of it goes as much of what was before as there is room for. */
	memmove(buf + room - new, buf, new);
	old = read_end(dirfd, CONSOLE_OLD, buf, room - new);
	memmove(buf + old, buf + room - new, new);
	buf[old + new] = '\0';
	for (size_t i = 0; i < old + new; i++)
		if (!buf[i])
			buf[i] = ' '; /* a NUL would hide what follows it */
}
