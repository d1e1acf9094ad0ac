/* SPDX-License-Identifier: Apache-2.0 */
/* io.c - whole reads, whole writes, files that appear all at once */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "step.h"

int io_read_all(int fd, size_t max, const char *what, char **buf, size_t *len, struct qbx_err *err)
{
	_cleanup_free_ char *b = NULL;
	size_t size = 0, used = 0;

	*buf = NULL;
	*len = 0;
	for (;;) {
		ssize_t n;

		if (used + 1 >= size) {
			size_t want = size ? size * 2 : 4096;
			char *grown;

			if (want > max + 2)
				want = max + 2; /* room for one byte too many, and the NUL */
			if (used + 1 >= want)
				return err_code(err, EX_DATAERR, "read %s: more than %zu bytes", what, max);
			grown = realloc(b, want);
			if (!grown)
				return err_sys(err, ENOMEM, "read %s", what);
			b = grown;
			size = want;
		}
		n = read(fd, b + used, size - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read %s", what);
		if (n == 0)
			break;
		used += (size_t)n;
	}
	b[used] = '\0';
	*buf = take_ptr(b);
	*len = used;
	return 0;
}

int io_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len,
		 struct qbx_err *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	return io_read_all(fd, max, path, buf, len, err);
}

int io_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_file(int dirfd, const char *path, mode_t mode, const void *buf, size_t len,
		  struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	char tmp[PATH_MAX];

	if (snprintf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof(tmp))
		return err_sys(err, ENAMETOOLONG, "write %s", path);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, errno, "create %s", tmp);
	step("begun", tmp);
	if (fchmod(fd, mode) < 0 || io_write_all(fd, buf, len) < 0 ||
	    renameat(dirfd, tmp, dirfd, path) < 0) {
		err_sys(err, errno, "write %s", path);
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	step("written", path);
	return 0;
}

int io_mkdirs(const char *path, mode_t mode, struct qbx_err *err)
{
	char p[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(p))
		return err_sys(err, ENAMETOOLONG, "create directory %s", path);
	memcpy(p, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (p[i] != '/' && p[i] != '\0')
			continue;
		p[i] = '\0';
		if (mkdir(p, mode) == 0)
			step("directory", p);
		else if (errno != EEXIST)
			return err_sys(err, errno, "create directory %s", p);
		p[i] = path[i];
	}
	return 0;
}

static int remove_children(int fd, dev_t dev, const char *name, struct qbx_err *err);

/* One entry; @dev is the file system that removal must stay on. */
static int remove_entry(int dirfd, dev_t dev, const char *name, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0) {
		step("removed", "a file of a tree");
		return 0;
	}
	if (errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, errno, "remove %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "remove %s", name);
	if (fstat(fd, &st) < 0 || st.st_dev != dev)
		return err_sys(err, EXDEV, "remove %s", name);
	if (remove_children(fd, dev, name, err) < 0)
		return -1;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", name);
	step("removed", "a directory of a tree");
	return 0;
}

static int remove_children(int fd, dev_t dev, const char *name, struct qbx_err *err)
{
	_cleanup_closedir_ DIR *d = NULL;
	int dup = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct dirent *e;

	d = dup < 0 ? NULL : fdopendir(dup);
	if (!d) {
		err_sys(err, errno, "list %s", name);
		if (dup >= 0)
			close(dup);
		return -1;
	}
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (remove_entry(fd, dev, e->d_name, err) < 0)
			return -1;
	}
	return 0;
}

int io_remove_tree(int dirfd, const char *name, struct qbx_err *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "remove %s", name);
	return remove_entry(dirfd, st.st_dev, name, err);
}

int io_open_locked(int dirfd, const char *path, int flags, int how)
{
	for (;;) {
		_cleanup_close_ int fd =
			openat(dirfd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
		struct stat held, now;

		if (fd < 0 || flock(fd, how) < 0 || fstat(fd, &held) < 0)
			return -1;
		/* Whoever held it may have removed it; if another is there by now, wait for that. */
		if (fstatat(dirfd, path, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		    now.st_ino == held.st_ino && now.st_dev == held.st_dev)
			return take_fd(&fd);
	}
}

int io_set_nonblock(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

unsigned long long io_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000;
}
