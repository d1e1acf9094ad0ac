/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - a program in the loop: text in, bounded text out, and its end
 *
 * Theory of Operation
 *
 * The loop serves a job's standard input, output and error. It is over when it has ended, not when
 * its pipes close: whatever it left running may still hold them. It has a session of its own; when
 * its time is up that session's first process group is killed.
 *
 * The shim is a subreaper, so the processes that jobs leave behind (QEMU, the vsock carrier) become
 * its children, too. One place reaps them all: jobs_reap(), to be called at SIGCHLD.
 */
#ifndef SHIM_JOB_H
#define SHIM_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loop.h"
#include "proc.h"

#define JOBS_LEFT 8u
#define JOB_STDERR_MAX 65536u /* bytes kept of what a job says on standard error: the last ones */

struct job;

/* All that run. */
struct jobs {
	struct loop *loop;
	struct job *first;
	bool debug; /* have helpers say more; what they say goes to the log */
	struct {
		pid_t pid;
		int status;
	} left[JOBS_LEFT]; /* the last ones of those left behind that have ended, in a ring */
	unsigned nleft;
};

/* What to run. */
struct job_spec {
	/* At most one descriptor, and none of 0, 1 and 2; netns and detach are set here. */
	struct proc_spec proc;
	const char *input;   /* borrowed */
	size_t out_max;	     /* bytes kept of its standard output; 0: it goes nowhere */
	unsigned timeout_ms; /* then it is killed */
	void *own;	     /* freed with the job, after @done; taken on success; may be NULL */
};

/* How it ended. Both texts are NUL-terminated, may be changed, and go when the call returns. */
struct job_end {
	int status; /* proc_exit_status() */
	bool late;  /* its time was up */
	char *out;
	size_t out_len;
	bool overflow; /* it wrote more than out_max */
	char *err;
};

typedef void job_done_fn(void *arg, struct job_end *end);

/**
 * job_start() - start a job
 * @done: called once, from the loop
 * Return: the job, valid until @done is called; or NULL with @err and nothing started.
 */
struct job *job_start(struct jobs *all, const struct job_spec *spec, job_done_fn *done, void *arg,
		      struct qbx_err *err) _must_check_;

/** job_last_line() - the last line of @text that is not empty; the rest of it is cut off. */
char *job_last_line(char *text);

/** job_log_remarks() - what a job that succeeded had to say, line by line; @text is changed. */
void job_log_remarks(char *text);

/** job_kill() - end it before its time; its done follows. */
void job_kill(struct job *job);

/** job_forget() - end it, without calling back. NULL is allowed. */
void job_forget(struct job *job);

/** jobs_reap() - collect every child that has ended, job or not. */
void jobs_reap(struct jobs *all);

/**
 * jobs_status() - how a process that a job left behind has ended
 * It may have been collected already, or is now. Return: proc_exit_status(), or -1: not known.
 */
int jobs_status(const struct jobs *all, pid_t pid);

/** jobs_kill() - end those that run and forget them, without calling back: for the very end. */
void jobs_kill(struct jobs *all);

#endif
