/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.c - the file system that a container writes to stands still
 *
 * FIFREEZE returns when all is written back, and no signal ends it, so a child of ours waits for
 * it. A seal that nobody wants any more is broken when that child has ended. See the kernel's
 * Documentation/filesystems/journalling.rst and ioctl_fsfreeze() in fs/ioctl.c.
 */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "log.h"

struct seal {
	struct vm *vm;
	struct container *of; /* NULL: nobody wants it any more */
	int fd;		      /* of its root directory */
	bool working;	      /* a child is at it */
	seal_fn *done;
	void *arg;
};

int seal_note(struct container *c, Qemubox__Task__Mount *const *mounts, size_t n,
	      struct qbx_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(mounts[i]->type, "ext4") != 0)
			continue;
		free(c->written);
		c->written = strdup(mounts[i]->target);
		if (!c->written)
			return err_sys(err, ENOMEM, "note what is written to");
	}
	return 0;
}

/* One that does not stand still cannot be made to go on: EINVAL. */
static void thaw(struct seal *s)
{
	if (ioctl(s->fd, FITHAW, 0) < 0 && errno != EINVAL)
		log_error("what a container writes to does not go on: %s", strerror(errno));
	close(s->fd);
	free(s);
}

static void on_worked(void *arg, int status)
{
	struct seal *s = arg;
	struct vm *vm = s->vm;
	struct qbx_err err = { 0 };

	s->working = false;
	vm->sealing--;
	if (!s->of) {
		thaw(s);
		shutdown_check(vm);
		return;
	}
	if (status == 0) {
		s->done(s->arg, NULL);
		return;
	}
	s->of->seal = NULL;
	err_sys(&err, status < 128 ? status : EINTR, "freeze what container %s writes to",
		s->of->id);
	s->done(s->arg, &err);
	thaw(s); /* a child that was killed may have done it */
}

static int open_written(const struct container *c, struct qbx_err *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", c->dir, c->written);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

/* Nobody could be told of its end, so it is waited for. */
static void take_back(struct seal *s, pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	thaw(s);
}

/* Without what else is open: a connection that is closed meanwhile is to be closed. */
_Noreturn static void freeze(const struct seal *s)
{
	if (dup2(s->fd, STDIN_FILENO) < 0 || close_range(1, ~0u, 0) < 0)
		_exit(errno);
	_exit(ioctl(STDIN_FILENO, FIFREEZE, 0) < 0 ? errno : 0);
}

static int start(struct seal *s, struct qbx_err *err)
{
	pid_t pid = fork();

	if (pid < 0) {
		err_sys(err, errno, "start a process that freezes");
		close(s->fd);
		free(s);
		return -1;
	}
	if (pid == 0)
		freeze(s);
	if (child_watch(s->vm, pid, on_worked, s, err) == 0)
		return 0;
	take_back(s, pid);
	return -1;
}

int seal_begin(struct container *c, seal_fn *done, void *arg, struct qbx_err *err)
{
	int fd = c->written ? open_written(c, err) : -1;
	struct seal *s;

	if (fd < 0)
		return c->written ? -1 : 1;
	s = malloc(sizeof(*s));
	if (!s) {
		close(fd);
		return err_sys(err, ENOMEM, "freeze what container %s writes to", c->id);
	}
	*s = (struct seal){ c->vm, c, fd, true, done, arg };
	if (start(s, err) < 0)
		return -1;
	c->seal = s;
	c->vm->sealing++;
	return 0;
}

void seal_end(struct container *c)
{
	struct seal *s = take_ptr(c->seal);
	struct qbx_err err = { 0 };

	if (!s)
		return;
	s->of = NULL;
	if (!s->working) {
		thaw(s);
		return;
	}
	err_sys(&err, ECANCELED, "freeze what container %s writes to", c->id);
	s->done(s->arg, &err);
}
