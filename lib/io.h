/* SPDX-License-Identifier: Apache-2.0 */
/* io.h - whole reads, whole writes, files that appear all at once */
#ifndef QBX_IO_H
#define QBX_IO_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/**
 * io_read_all() - read a blocking descriptor to its end
 * @max: most bytes accepted; one more is EX_DATAERR
 * @what: name of the source for the error text
 * @buf: set to a malloc'ed, NUL-terminated buffer that the caller frees; NULL on error
 * @len: set to its length without the NUL
 * Return: 0, or -1 with @err.
 */
int io_read_all(int fd, size_t max, const char *what, char **buf, size_t *len,
		struct qbx_err *err) _must_check_;

/** io_read_file() - io_read_all() on @path below @dirfd (AT_FDCWD is fine). */
int io_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len,
		 struct qbx_err *err) _must_check_;

/** io_write_all() - write all of @buf to a blocking descriptor. Return: 0, or -1 with errno set. */
int io_write_all(int fd, const void *buf, size_t len) _must_check_;

/**
 * io_write_file() - make @path hold exactly @buf: temporary file beside it, then rename
 * @dirfd: directory that @path is relative to, or AT_FDCWD
 * @mode: permission bits of the new file
 * Return: 0, or -1 with @err and no temporary left.
 */
int io_write_file(int dirfd, const char *path, mode_t mode, const void *buf, size_t len,
		  struct qbx_err *err) _must_check_;

/** io_mkdirs() - mkdir -p; existing directories are left as they are. */
int io_mkdirs(const char *path, mode_t mode, struct qbx_err *err) _must_check_;

/**
 * io_remove_tree() - rm -rf of @name below @dirfd: crosses no mount point, follows no symlink
 * Return: 0 (also when absent), or -1 with @err.
 */
int io_remove_tree(int dirfd, const char *name, struct qbx_err *err) _must_check_;

/**
 * io_open_locked() - open a file that whoever holds its lock removes, and have the lock
 * @flags: O_CREAT to make it, with mode 0600
 * @how: LOCK_EX, or LOCK_EX | LOCK_NB not to wait
 * Return: descriptor, or -1 with errno: EWOULDBLOCK if another has the lock.
 */
int io_open_locked(int dirfd, const char *path, int flags, int how) _must_check_;

/** io_set_nonblock() - set or clear O_NONBLOCK. Return: 0, or -1 with errno set. */
int io_set_nonblock(int fd, int on);

/** io_now_us() - CLOCK_MONOTONIC in microseconds. */
unsigned long long io_now_us(void);

#endif
