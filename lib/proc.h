/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - processes: start them, name them without mistake, run one to its end */
#ifndef QBX_PROC_H
#define QBX_PROC_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"

/*
 * A process that cannot be confused with a later one of the same pid: start is field 22 of
 * /proc/PID/stat, clock ticks since boot (proc(5)).
 */
struct proc_id {
	pid_t pid;
	unsigned long long start;
};

/** proc_identify() - the identity of a live process. Return: 0, or -1 with errno (ESRCH). */
int proc_identify(pid_t pid, struct proc_id *id);

/**
 * proc_open() - a pidfd for exactly that process
 * Return: descriptor that the caller closes, or -1 with errno; ESRCH if it is gone or another.
 */
int proc_open(const struct proc_id *id);

/** proc_to_json() - {"pid": n, "start": ticks}; new reference. */
json_t *proc_to_json(const struct proc_id *id);

/** proc_from_json() - reverse of proc_to_json(). Return: 0, or -1 with @err (EX_DATAERR). */
int proc_from_json(const json_t *j, struct proc_id *id, struct qbx_err *err) _must_check_;

/* A descriptor of ours that the child gets as number @to; both ends of the list are the caller's. */
struct proc_fd {
	int from, to;
};

/* What to start. Descriptors not named are closed on exec; 0, 1 and 2 default to /dev/null. */
struct proc_spec {
	const char *program; /* NULL: argv[0]; looked up in PATH unless it holds a slash */
	const char *const *argv;
	const char *const *envp; /* NULL: ours */
	const char *cwd;	 /* NULL: ours */
	const struct proc_fd *fds;
	size_t nfds;
	int netns;	 /* descriptor of the network namespace to start in, or -1 */
	int detach;	 /* new session: survives us and our terminal */
	int die_with_us; /* SIGKILL when this process ends */
	/*
	 * Called when the child exists and before it runs the program, which it does only if this
	 * returns 0, and not if we are gone by then: what is written down here is not lost. May be NULL.
	 */
	int (*born)(void *arg, pid_t pid, struct qbx_err *err);
	void *born_arg;
	/*
	 * Called in the child, last before it runs the program: what confines it. Returns NULL, or with
	 * errno what could not be done, which ends the child. May be NULL.
	 */
	const char *(*confine)(void *arg);
	void *confine_arg;
};

/**
 * proc_spawn() - start a child
 * Signals are reset to their defaults and unblocked in the child. A failing chdir, setns, exec or
 * @spec->confine is reported here, not as an exit status.
 * @pid, @pidfd: set on success; the caller closes @pidfd and reaps with waitid(P_PIDFD).
 * Return: 0, or -1 with @err (err->sys is ENOENT when the program is missing).
 */
int proc_spawn(const struct proc_spec *spec, pid_t *pid, int *pidfd,
	       struct qbx_err *err) _must_check_;

/* How a command that ran to its end came out. Both texts are malloc'ed and NUL-terminated. */
struct proc_output {
	char *out, *err; /* standard output and standard error */
	size_t out_len, err_len;
	int status;		   /* as proc_exit_status() gives it */
	unsigned long long ran_us; /* from when the program ran until it had ended, to us */
};

/** proc_output_free() - also fit for _cleanup_(proc_output_free). */
void proc_output_free(struct proc_output *o);

/** proc_output_says() - the first line of standard error with anything in it, cleaned; uses up @o->err */
const char *proc_output_says(const struct proc_output *o);

/**
 * proc_run() - run a command to its end, feeding and collecting its streams
 * @spec: its fds must not name 0, 1 or 2
 * @in, @in_len: standard input, or NULL
 * @max: most bytes of output kept; more ends the child and is EX_DATAERR
 * @timeout_ms: the child is killed and ETIMEDOUT reported after this; -1: none
 * A child that is killed takes its own children along if it has a session (@spec->detach).
 * A non-zero exit status is no error here. Return: 0, or -1 with @err.
 */
int proc_run(const struct proc_spec *spec, const void *in, size_t in_len, size_t max,
	     int timeout_ms, struct proc_output *o, struct qbx_err *err) _must_check_;

/** proc_exit_status() - wait status as a shell gives it: exit status, or 128 + signal. */
int proc_exit_status(int wstatus);

/** proc_reap() - wait for a child by its pidfd (blocks). Return: proc_exit_status(), or -1. */
int proc_reap(int pidfd);

#endif
