/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - one way to report failure
 *
 * The caller owns a struct qbx_err, zeroed. A function that fails fills it and returns -1, so that
 * `return err_sys(err, errno, "open %s", path);` reads in one line. Only a main function or an RPC
 * boundary turns it into text.
 */
#ifndef QBX_ERR_H
#define QBX_ERR_H

#include <stdio.h>
#include <sysexits.h>

#include "cleanup.h"

/* What failed, on what, why (msg), and what to do about it (hint). No heap. */
struct qbx_err {
	int code;	/* exit status: 1, or one of sysexits.h */
	int sys;	/* errno behind it, or 0 */
	char stage[24]; /* the command or part that failed: "qbx-net" */
	char msg[768];
	char hint[256];
};

/**
 * err_sys() - record a failed system or library call
 * @sys: errno value; its text is appended, and it picks the exit status (EPERM, EACCES: 77; EAGAIN,
 *       EBUSY, ETIMEDOUT, ENOSPC: 75; else 69)
 * Return: -1, always.
 */
int err_sys(struct qbx_err *err, int sys, const char *fmt, ...) _printf_(3, 4);

/**
 * err_code() - record a failure that has no errno
 * @code: exit status from sysexits.h, or 1
 * Return: -1, always.
 */
int err_code(struct qbx_err *err, int code, const char *fmt, ...) _printf_(3, 4);

/** err_wrap() - put context in front of the message: "context: message". Return: -1, always. */
int err_wrap(struct qbx_err *err, const char *fmt, ...) _printf_(2, 3);

/** err_hint() - say what the reader can do about it, replacing an earlier hint. Return: -1. */
int err_hint(struct qbx_err *err, const char *fmt, ...) _printf_(2, 3);

/**
 * err_clean() - make text from elsewhere safe for one line of a log or terminal
 * @text: NUL-terminated, changed in place: control bytes become spaces, trailing ones are cut
 * Return: @text.
 */
char *err_clean(char *text);

/** err_forget() - as if nothing had happened: a failure that does not count. The stage stays. */
void err_forget(struct qbx_err *err);

#define ERR_TEXT_MAX 1100u

/**
 * err_text() - "stage: msg (hint)" in one line without its newline, cleaned
 * @text: ERR_TEXT_MAX bytes
 * Return: @text.
 */
char *err_text(const struct qbx_err *err, char text[ERR_TEXT_MAX]);

/** err_print() - "stage: msg (hint)" in one line, or with @json the error object of qbx-json(7). */
void err_print(const struct qbx_err *err, FILE *out, int json);

/** BUG() - a state that the code itself rules out: say where and abort. */
#define BUG(what)                                                               \
	do {                                                                    \
		fprintf(stderr, "BUG: %s at %s:%d\n", what, __FILE__, __LINE__); \
		abort();                                                        \
	} while (0)

#endif
