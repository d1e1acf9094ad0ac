/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - several questions to QEMU's monitor, and events between them, each awaited
 *
 * Source of the format: QEMU's "QEMU Machine Protocol Specification".
 */
#ifndef QBX_VM_TALK_H
#define QBX_VM_TALK_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

#define TALK_LINE_MAX 65536u /* of a reply; a compromised QEMU may send anything */

/** talk_is_fn - is this the event that is awaited? @data is its "data", borrowed, or NULL. */
typedef bool talk_is_fn(void *arg, const char *name, const json_t *data);

struct talk {
	int fd;
	unsigned lines; /* heard so far */
	bool seen;	/* what is expected */
	talk_is_fn *is;
	void *arg;
	size_t len;
	char buf[TALK_LINE_MAX];
};

/** talk_begin() - connect to the box's qmp.sock. Also after a failure there is talk_end(). */
int talk_begin(struct talk *t, int dirfd, struct qbx_err *err) _must_check_;
void talk_end(struct talk *t);

/**
 * talk_ask() - a command and its answer
 * @arguments: taken; NULL for none
 * Return: what was returned, a new reference, or NULL with @err.
 */
json_t *talk_ask(struct talk *t, const char *command, json_t *arguments,
		 struct qbx_err *err) _must_check_;

/** talk_expect() - from now on look out for an event; it may come before the next answer. */
void talk_expect(struct talk *t, talk_is_fn *is, void *arg);

/**
 * talk_await() - until that event has come
 * Return: 0, or -1 with @err (err->sys is ETIMEDOUT after @timeout_ms).
 */
int talk_await(struct talk *t, unsigned timeout_ms, struct qbx_err *err) _must_check_;

#endif
