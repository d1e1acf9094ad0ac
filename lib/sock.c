/* SPDX-License-Identifier: Apache-2.0 */
/* sock.c - Unix sockets by directory and name */
#include "sock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int unix_listen(int dirfd, const char *name, struct qbx_err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 8) < 0)
		return err_sys(err, errno, "listen on %s", name);
	return take_fd(&fd);
}

int unix_reach(int fd, int dirfd, const char *name)
{
	_cleanup_close_ int path = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;

	if (path < 0 || fstat(path, &st) < 0)
		return -1;
	/* /proc would follow a symlink that O_PATH has opened. */
	if (!S_ISSOCK(st.st_mode)) {
		errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTSOCK;
		return -1;
	}
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d", path);
	return connect(fd, (struct sockaddr *)&un, sizeof(un));
}

int unix_connect(int dirfd, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || unix_reach(fd, dirfd, name) < 0)
		return -1;
	return take_fd(&fd);
}
