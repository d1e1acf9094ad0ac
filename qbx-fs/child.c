/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - a program that makes or unpacks something, and what it says when it fails */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "proc.h"

#define STDERR_MAX 65536u /* bytes of a child's complaints that are kept */

void child_free(struct child *c)
{
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->errfd >= 0)
		close(c->errfd);
}

/* A full pipe for complaints could stop a child for good; a file takes them without a reader. */
static int errors_file(struct qbx_err *err)
{
	_cleanup_close_ int fd = memfd_create("stderr", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, STDERR_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
		return err_sys(err, errno, "keep a child's messages");
	return take_fd(&fd);
}

int child_start(struct child *c, const char *const argv[], int in, int out, int out_as,
		struct qbx_err *err)
{
	struct proc_fd fds[3];
	struct proc_spec spec = { .argv = argv, .fds = fds, .netns = -1, .die_with_us = 1 };
	int pidfd;
	pid_t pid;

	c->name = argv[0];
	c->errfd = errors_file(err);
	if (c->errfd < 0)
		return -1;
	fds[spec.nfds++] = (struct proc_fd){ c->errfd, 2 };
	if (in >= 0)
		fds[spec.nfds++] = (struct proc_fd){ in, 0 };
	if (out >= 0)
		fds[spec.nfds++] = (struct proc_fd){ out, out_as };
	if (proc_spawn(&spec, &pid, &pidfd, err) < 0)
		return -1;
	c->pidfd = pidfd;
	return 0;
}

/*
 * The first line of @text that is marked as an error, or else that says anything; without the mark,
 * and with bytes that might not be UTF-8 replaced.
 */
static const char *complaint(const struct child *c, char *text, size_t size)
{
	static const char mark[] = "<E> erofs: ";
	ssize_t n = pread(c->errfd, text, size - 1, 0);
	char *line, *rest;

	text[n > 0 ? n : 0] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p > '~')
			*p = '?';
	rest = strstr(text, mark);
	rest = rest ? rest + strlen(mark) : text;
	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (*err_clean(line))
			return line;
	}
	return "it says nothing";
}

int child_failed(const struct child *c, int status, const char *what, struct qbx_err *err)
{
	char text[4096];
	const char *line = complaint(c, text, sizeof(text));

	if (status > 128)
		return err_code(err, EX_UNAVAILABLE, "%s: %s was killed by signal %d", what,
				c->name, status - 128);
	if (strstr(line, "No space left on device")) {
		err_sys(err, ENOSPC, "%s: %s", what, c->name);
		return err_hint(err, "make room, or set QEMUBOX_STATE_DIR");
	}
	if (strstr(line, "unrecognized option") || strstr(line, "unexpected argument")) {
		err_code(err, EX_UNAVAILABLE, "%s: %s is too old: %.300s", what, c->name, line);
		return err_hint(err, CHILD_HINT_VERSION);
	}
	return err_code(err, EX_DATAERR, "%s: %s failed: %.300s", what, c->name, line);
}
