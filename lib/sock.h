/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock.h - Unix sockets by directory and name
 *
 * By way of /proc/self/fd: a box directory's own path may be longer than sun_path.
 */
#ifndef QBX_SOCK_H
#define QBX_SOCK_H

#include "err.h"

/** unix_listen() - a listening Unix socket @name in @dirfd. Return: descriptor, or -1 with @err. */
int unix_listen(int dirfd, const char *name, struct qbx_err *err) _must_check_;

/**
 * unix_reach() - connect the socket @fd to @name in @dirfd
 * Whoever can write to the directory may have put a symlink there: the last part of @name is not
 * followed if it is one, and is ELOOP or ENOTSOCK.
 * Return: 0, or -1 with errno.
 */
int unix_reach(int fd, int dirfd, const char *name) _must_check_;

/** unix_connect() - unix_reach() with a new socket. Return: descriptor, or -1 with errno. */
int unix_connect(int dirfd, const char *name);

#endif
