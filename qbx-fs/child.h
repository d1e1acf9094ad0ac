/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - a program that makes or unpacks something, and what it says when it fails */
#ifndef QBX_FS_CHILD_H
#define QBX_FS_CHILD_H

#include "err.h"

#define CHILD_HINT_VERSION "erofs-utils 1.8 or later is needed"

/* A child whose standard error is a file in memory that cannot grow. */
struct child {
	const char *name;
	int pidfd, errfd;
};

#define CHILD_NONE                       \
	{                                \
		.pidfd = -1, .errfd = -1 \
	}

/**
 * child_start() - start a program, which dies with us
 * @in, @out: descriptors for standard input and, as @out_as, output; -1 for none; borrowed
 * Return: 0, or -1 with @err (err->sys ENOENT: there is no such program); @c is for child_free() anyhow.
 */
int child_start(struct child *c, const char *const argv[], int in, int out, int out_as,
		struct qbx_err *err) _must_check_;

/**
 * child_failed() - turn its end into an error, in its own words
 * @status: proc_reap() of it, not 0
 * @what: what it was to make
 * Return: -1, always, with @err.
 */
int child_failed(const struct child *c, int status, const char *what, struct qbx_err *err);

/** child_free() - also fit for _cleanup_(child_free); the process is not waited for. */
void child_free(struct child *c);

#endif
