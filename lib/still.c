/* SPDX-License-Identifier: Apache-2.0 */
/* still.c - what a box writes to stands still */
#include "still.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#define STILL_FILE "still"

int still_begin(int dirfd, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	if (still_end(dirfd, err) < 0)
		return -1;
	fd = openat(dirfd, STILL_FILE, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, errno, "create " STILL_FILE) : 0;
}

int still_end(int dirfd, struct qbx_err *err)
{
	if (unlinkat(dirfd, STILL_FILE, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove " STILL_FILE);
	return 0;
}

int still_open(int dirfd, struct qbx_err *err)
{
	int fd = openat(dirfd, STILL_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "open " STILL_FILE) : fd;
}

bool still_lasts(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}
