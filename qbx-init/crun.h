/* SPDX-License-Identifier: Apache-2.0 */
/* crun.h - have crun(1) do something */
#ifndef QBX_INIT_CRUN_H
#define QBX_INIT_CRUN_H

#include "init.h"

#define CRUN_MESSAGE_MAX 400u

/** crun_done_fn - @err is NULL when crun succeeded, else what crun said. */
typedef void crun_done_fn(void *arg, const struct qbx_err *err);

/* What crun and the process that it starts have of us. */
struct crun_child {
	const int *fds;	   /* stdin, stdout and stderr; -1 for /dev/null; NULL for all three */
	int oom_score_adj; /* 0: ours */
};

/**
 * crun_run() - start "crun ARGS..."
 * @bundle: the container's bundle directory, where crun leaves its log
 * @args: NULL-terminated; the first one is the command
 * @child: NULL for nothing
 * @done: called once, from the loop, when crun has ended; a crun that takes too long is killed
 */
int crun_run(struct vm *vm, const char *bundle, const char *const *args,
	     const struct crun_child *child, crun_done_fn *done, void *arg,
	     struct qbx_err *err) _must_check_;

/** crun_read_pid() - the pid that crun left in a file, of a process that has become our child */
int crun_read_pid(const char *path, pid_t *pid, struct qbx_err *err) _must_check_;

/**
 * crun_log_next() - the next entry of a level in a log that crun wrote with --log-format=json
 * @log, @len: what is left of it; moved behind the entry
 * @level: "error", "warning"
 * @message: set to its text, cleaned and cut to CRUN_MESSAGE_MAX bytes; "" when there is none
 * Return: is there one?
 */
bool crun_log_next(const char **log, size_t *len, const char *level,
		   char message[CRUN_MESSAGE_MAX]);

/** crun_errno() - the errno that is the cause in crun's text, if it is one that callers tell apart
 */
int crun_errno(const char *message);

#endif
