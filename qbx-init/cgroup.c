/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - the processes of a container */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "init.h"
#include "io.h"

#define DEPTH_MAX 16 /* of the cgroups that a container makes below its own */

struct found {
	pid_t *pids;
	size_t n, size;
};

int cgroup_kill(const char *cgroup, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/cgroup.kill", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || write(fd, "1", 1) < 0)
		return err_sys(err, errno, "kill cgroup %s", cgroup);
	return 0;
}

/* Return: 0, or -1 with errno. */
static int add_pid(struct found *f, pid_t pid)
{
	if (f->n == f->size) {
		size_t size = f->size ? f->size * 2 : 64;
		pid_t *grown = realloc(f->pids, size * sizeof(*grown));

		if (!grown)
			return -1;
		f->pids = grown;
		f->size = size;
	}
	f->pids[f->n++] = pid;
	return 0;
}

static int add_procs(struct found *f, int dirfd)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (!in)
		return errno == ENOENT ? 0 : -1;
	(void)take_fd(&fd);
	while (f->n < CGROUP_PIDS_MAX && fscanf(in, "%d", &pid) == 1)
		if (add_pid(f, pid) < 0)
			return -1;
	return 0;
}

/* @dirfd is taken over. What ends while we look is no error. */
static int walk(struct found *f, int dirfd, int depth)
{
	_cleanup_closedir_ DIR *d = fdopendir(dirfd);
	struct dirent *e;

	if (!d) {
		close(dirfd);
		return -1;
	}
	if (add_procs(f, dirfd) < 0)
		return -1;
	while (depth < DEPTH_MAX && (e = readdir(d))) {
		int fd;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		fd = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && walk(f, fd, depth + 1) < 0)
			return -1;
	}
	return 0;
}

int cgroup_pids(const char *cgroup, pid_t **pids, size_t *n, struct qbx_err *err)
{
	struct found f = { 0 };
	char path[PATH_MAX];
	int fd;

	*pids = NULL;
	*n = 0;
	snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || walk(&f, fd, 0) < 0) {
		err_sys(err, errno, "list the processes of cgroup %s", cgroup);
		free(f.pids);
		return -1;
	}
	*pids = f.pids;
	*n = f.n;
	return 0;
}

void cgroup_prune(const char *cgroup)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), CGROUP_ROOT "%s", cgroup);

	/* The first one that is in use ends it. */
	while (len > (int)strlen(CGROUP_ROOT) && (rmdir(path) == 0 || errno == ENOENT)) {
		char *slash = strrchr(path, '/');

		*slash = '\0';
		len = (int)(slash - path);
	}
}
