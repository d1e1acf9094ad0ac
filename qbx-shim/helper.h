/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.h - run another command of the toolkit in the loop: a document in, a document or an error
 * out
 *
 * Theory of Operation
 *
 * A helper gets the document on standard input and writes its own on standard output; both pipes,
 * and that of standard error, are served by the loop. It is over when it has ended, not when its
 * pipes close: whatever it left running may still hold them.
 *
 * The shim is a subreaper, so the processes that helpers leave behind (QEMU, the vsock carrier)
 * become its children, too. One place reaps them all: helpers_reap(), to be called at SIGCHLD.
 */
#ifndef SHIM_HELPER_H
#define SHIM_HELPER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"

#define HELPERS_LEFT 8u

struct helper;

/* All that run. */
struct helpers {
	struct loop *loop;
	struct helper *first;
	bool debug; /* have them say more; what they say goes to the log */
	struct {
		pid_t pid;
		int status;
	} left[HELPERS_LEFT]; /* the last ones of those left behind that have ended, in a ring */
	unsigned nleft;
};

/**
 * helper_done_fn - a helper has ended
 * @doc: what it wrote, borrowed; NULL on failure
 * @err: the helper's own error, or what went wrong with it; its stage names the helper
 */
typedef void helper_done_fn(void *arg, json_t *doc, const struct qbx_err *err);

#define HELPER_FD 3

/* What to run. */
struct helper_spec {
	const char *program, *verb;
	const char *option;  /* one more argument, or NULL */
	int fd;		     /* what it gets as descriptor HELPER_FD, borrowed; 0: nothing */
	unsigned timeout_ms; /* then it is killed */
	int outlives_us;     /* let it end by itself if this process dies */
};

/**
 * helper_run() - start a helper
 * Programs are found beside this one, else in PATH.
 * @doc: its input, borrowed
 * @done: called once, from the loop
 * Return: 0, or -1 with @err and nothing started.
 */
int helper_run(struct helpers *all, const struct helper_spec *spec, const json_t *doc,
	       helper_done_fn *done, void *arg, struct qbx_err *err) _must_check_;

/** helpers_reap() - collect every child that has ended, helper or not. */
void helpers_reap(struct helpers *all);

/**
 * helpers_status() - how a process that a helper left behind has ended
 * It may have been collected already, or is now. Return: proc_exit_status(), or -1: not known.
 */
int helpers_status(const struct helpers *all, pid_t pid);

/** helpers_kill() - end those that run and forget them, without calling back: for the very end. */
void helpers_kill(struct helpers *all);

/**
 * helper_parse_error() - find a helper's error in what it wrote on standard error
 * The last line is to be the error object of qbx-json(7); else its text is the message. Whatever it
 * is, it is made safe to show.
 * @text: NUL-terminated, changed
 * @status: its exit status
 */
void helper_parse_error(struct qbx_err *err, const char *program, char *text, int status);

/** helper_path() - where to find a program of the toolkit; @path holds PATH_MAX bytes. */
const char *helper_path(const char *program, char *path);

#endif
