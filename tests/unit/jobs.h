/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h - for tests that include qbx-shim/job.c: a directory, and a loop that reaps, for each test */
#ifndef JOBS_H
#define JOBS_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "qbx-shim/job.h"

static char dir[64];
static struct loop *loop;
static struct jobs jobs;

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	(void)info;
	jobs_reap(arg);
}

static int jobs_set_up(void **state)
{
	struct qbx_err err = { 0 };
	sigset_t set;

	(void)state;
	strcpy(dir, "/tmp/qbx-jobs.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	loop = loop_new(&err);
	jobs = (struct jobs){ .loop = loop };
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return loop && loop_add_signals(loop, &set, on_signal, &jobs, &err) ? 0 : -1;
}

static int jobs_tear_down(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	loop_free(loop);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

#endif
