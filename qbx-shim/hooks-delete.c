/* SPDX-License-Identifier: Apache-2.0 */
/* hooks-delete.c - what a dead shim has left to be done of its hooks */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "hooks.h"
#include "io.h"
#include "json.h"
#include "log.h"

#define KILL_MS 500 /* for a process to end by SIGKILL */

/* A hook that outlived its shim must not do things while they are undone. */
static void kill_running(const struct proc_id *running)
{
	_cleanup_close_ int pidfd = running->pid ? proc_open(running) : -1;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return;
	kill(-running->pid, SIGKILL);
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* if it has no group of its own yet */
	if (poll(&p, 1, KILL_MS) <= 0)
		log_warn("hook process %d does not end", (int)running->pid);
}

static void on_done(void *arg, const struct qbx_err *err)
{
	(void)err; /* of poststop there is none: it was logged */
	loop_stop(arg);
}

static void on_child(void *arg, const struct signalfd_siginfo *info)
{
	(void)info;
	jobs_reap(arg);
}

static int run(struct hooks *h, struct jobs *jobs, struct qbx_err *err)
{
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (!loop_add_signals(jobs->loop, &set, on_child, jobs, err))
		return -1;
	h->jobs = jobs;
	rc = hooks_run(h, HOOK_POSTSTOP, HOOK_POSTSTOP, 0, on_done, jobs->loop, err);
	return rc == 0 ? loop_run(jobs->loop, err) : rc;
}

/* Return: what the file of a bundle has, or NULL with @err. */
static json_t *read_file(const char *bundle, struct qbx_err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" HOOKS_FILE, bundle) >= (int)sizeof(path)) {
		err_sys(err, ENAMETOOLONG, "bundle %s", bundle);
		return NULL;
	}
	return json_read_file(AT_FDCWD, path, err);
}

void hooks_delete(const char *bundle, unsigned ms)
{
	_cleanup_(hooks_free) struct hooks h = { .end_us = io_now_us() + ms * 1000ull };
	struct qbx_err err = { 0 };
	json_auto_t *file = read_file(bundle, &err);
	struct proc_id running;
	struct jobs jobs = { 0 };

	if (!file && err.sys == ENOENT)
		return;
	jobs.loop = file ? loop_new(&err) : NULL;
	if (!jobs.loop || hooks_restore(&h, file, &running, &err) < 0) {
		log_error("hooks: %s", err.msg);
		loop_free(jobs.loop);
		return;
	}
	kill_running(&running);
	if (run(&h, &jobs, &err) < 0)
		log_error("hooks: %s", err.msg);
	hooks_free(&h); /* before its loop */
	loop_free(jobs.loop);
}
