/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.h - run another command of the toolkit in the loop: a document in, a document or an error
 * out
 *
 * A helper gets the document on standard input and writes its own on standard output. It is a job:
 * see job.h.
 */
#ifndef SHIM_HELPER_H
#define SHIM_HELPER_H

#include <jansson.h>

#include "job.h"

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
int helper_run(struct jobs *all, const struct helper_spec *spec, const json_t *doc,
	       helper_done_fn *done, void *arg, struct qbx_err *err) _must_check_;

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
