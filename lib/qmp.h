/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.h - QEMU's monitor, from the loop
 *
 * Source of the format: QEMU's "QEMU Machine Protocol Specification". Each message is a JSON object
 * on a line. A greeting comes first, then qmp_capabilities must be said; replies come in the order
 * of the commands, and events between them.
 *
 * A guest that has broken into QEMU speaks here: a line has at most QMP_LINE_MAX bytes, jansson
 * bounds its depth, and a peer that says more than QMP_RATE_MAX lines a second is left.
 */
#ifndef QBX_QMP_H
#define QBX_QMP_H

#include <jansson.h>

#include "loop.h"

#define QMP_LINE_MAX 65536u
#define QMP_RATE_MAX 1000u
#define QMP_PENDING_MAX 8u /* commands without a reply, more are refused */

/* One line that QEMU sends, as far as it matters here. */
enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

/**
 * qmp_decode() - one line of QEMU's monitor
 * @body: set to a new reference of what was returned, of what QEMU has against it, of whatever type,
 *        or, for an event, of the whole message, whose "event" is a string; else NULL
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int qmp_decode(const char *line, size_t len, enum qmp_kind *kind, json_t **body,
	       struct qbx_err *err) _must_check_;

struct qmp;

/** qmp_event_fn - QEMU told something; @event is borrowed: "event", "data", "timestamp". */
typedef void qmp_event_fn(void *arg, const char *name, json_t *event);

/**
 * qmp_closed_fn - the conversation is over, because of @why
 * Every command that waits has failed before. The monitor is freed when this returns; not called by
 * qmp_free().
 */
typedef void qmp_closed_fn(void *arg, const struct qbx_err *why);

/**
 * qmp_new() - speak QMP on a connected socket
 * @fd: taken over; made non-blocking
 * @event: may be NULL
 * Return: the monitor, or NULL with @err and @fd closed.
 */
struct qmp *qmp_new(struct loop *loop, int fd, qmp_event_fn *event, qmp_closed_fn *closed,
		    void *arg, struct qbx_err *err) _must_check_;

/** qmp_free() - close, without calling back; commands that wait are forgotten. NULL is allowed. */
void qmp_free(struct qmp *q);

/**
 * qmp_done_fn - a command was answered (@err NULL, @ret borrowed), or failed
 * What QEMU refuses is EX_UNAVAILABLE, with its text.
 */
typedef void qmp_done_fn(void *arg, json_t *ret, const struct qbx_err *err);

/**
 * qmp_request() - one command
 * @command: a literal
 * @arguments: taken, also by a failure; NULL for none. They may be too long (E2BIG).
 * @timeout_ms: 0 for none
 * @done: called once, from the loop, unless qmp_free() comes first
 * Return: 0, or -1 with @err.
 */
int qmp_request(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
		qmp_done_fn *done, void *arg, struct qbx_err *err) _must_check_;

/** qmp_drain() - handle now what has arrived already: QEMU has ended, and this may say why. */
void qmp_drain(struct qmp *q);

/** qmp_connect() - a monitor's socket in a directory. Return: descriptor, or -1 with errno. */
int qmp_connect(int dirfd, const char *name);

#endif
