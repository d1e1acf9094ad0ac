/* SPDX-License-Identifier: Apache-2.0 */
/* claim.c - numbers of which each box holds one */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "box.h"
#include "io.h"

#define CLAIMS_DIR ".claims"

static void path_of(char path[PATH_MAX], const struct config *cfg, const char *kind)
{
	snprintf(path, PATH_MAX, "%s/" CLAIMS_DIR "%s%s", cfg->run_dir, kind[0] ? "/" : "", kind);
}

/* Does the path still lead to this directory, or was it removed while we waited? */
static bool is_current(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Return: descriptor of the locked directory; -1 with errno if it has just gone, or never was. */
static int enter_now(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return -1;
	if (is_current(fd, path))
		return take_fd(&fd);
	errno = ENOENT;
	return -1;
}

static int make_dirs(const struct config *cfg, const char *path)
{
	char parent[PATH_MAX];

	path_of(parent, cfg, "");
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -1;
	return mkdir(path, 0700) < 0 && errno != EEXIST && errno != ENOENT ? -1 : 0;
}

/* Again only when somebody has removed it in between, which is progress of theirs. */
static int enter_made(const struct config *cfg, const char *path, struct qbx_err *err)
{
	if (io_mkdirs(cfg->run_dir, 0755, err) < 0)
		return -1;
	for (;;) {
		int fd;

		if (make_dirs(cfg, path) < 0)
			return err_sys(err, errno, "create %s", path);
		fd = enter_now(path);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			return err_sys(err, errno, "open %s", path);
	}
}

/* The key of the box that holds the number, or an empty one. */
static void holder(int dirfd, const char *number, char key[BOX_KEY_MAX])
{
	ssize_t n = readlinkat(dirfd, number, key, BOX_KEY_MAX - 1);

	key[n < 0 ? 0 : n] = '\0';
}

static bool is_free(const struct config *cfg, int dirfd, const char *number)
{
	char key[BOX_KEY_MAX], path[PATH_MAX];
	struct stat st;

	holder(dirfd, number, key);
	if (!key[0])
		return true;
	snprintf(path, sizeof(path), "%s/%s", cfg->run_dir, key);
	return lstat(path, &st) < 0 && errno == ENOENT;
}

static int forget(int dirfd, const char *key, const char *kind, struct qbx_err *err)
{
	_cleanup_close_ int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	char theirs[BOX_KEY_MAX];
	struct dirent *e;

	if (!d)
		return err_sys(err, errno, "read the claims on a %s", kind);
	take_fd(&copy);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		holder(dirfd, e->d_name, theirs);
		if (!strcmp(theirs, key) && unlinkat(dirfd, e->d_name, 0) < 0)
			return err_sys(err, errno, "release %s %s", kind, e->d_name);
	}
	return 0;
}

static int put(int dirfd, const char *number, const char *key, const char *kind,
	       struct qbx_err *err)
{
	if ((unlinkat(dirfd, number, 0) < 0 && errno != ENOENT) ||
	    symlinkat(key, dirfd, number) < 0)
		return err_sys(err, errno, "claim %s %s", kind, number);
	return 0;
}

static int take(const struct config *cfg, int dirfd, const struct claim_range *range,
		const char *key, claim_use_fn *use, void *arg, unsigned *number,
		struct qbx_err *err)
{
	char name[12];

	for (unsigned i = 0; i < range->count; i++) {
		*number = range->first + i;
		snprintf(name, sizeof(name), "%u", *number);
		if (!is_free(cfg, dirfd, name))
			continue;
		if (!use || use(arg, *number) == 0)
			return put(dirfd, name, key, range->kind, err);
		if (errno != EADDRINUSE)
			return err_sys(err, errno, "use %s %s", range->kind, name);
	}
	return err_code(err, EX_TEMPFAIL, "none of the %u %ss from %u on is free", range->count,
			range->kind, range->first);
}

/* Nobody else is in it: who waits for the lock looks again. */
static void leave_empty(const struct config *cfg, const char *path)
{
	char parent[PATH_MAX];

	path_of(parent, cfg, "");
	if (rmdir(path) == 0)
		(void)rmdir(parent); /* the other kind may be in use */
}

int claim_take(const struct config *cfg, const struct claim_range *range, const char *key,
	       claim_use_fn *use, void *arg, unsigned *number, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	char path[PATH_MAX];
	int ret;

	path_of(path, cfg, range->kind);
	dirfd = enter_made(cfg, path, err);
	if (dirfd < 0)
		return -1;
	ret = forget(dirfd, key, range->kind, err);
	if (ret == 0)
		ret = take(cfg, dirfd, range, key, use, arg, number, err);
	if (ret < 0)
		leave_empty(cfg, path);
	return ret;
}

int claim_release(const struct config *cfg, const char *kind, const char *key, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	char path[PATH_MAX];

	path_of(path, cfg, kind);
	dirfd = enter_now(path);
	if (dirfd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "open %s", path);
	if (forget(dirfd, key, kind, err) < 0)
		return -1;
	leave_empty(cfg, path);
	return 0;
}
