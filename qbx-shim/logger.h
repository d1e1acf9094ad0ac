/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logger.h - a program of the client's that takes a process's output: binary://
 *
 * Theory of Operation
 *
 * It reads standard output on descriptor 3 and standard error on descriptor 4 to their ends, and then
 * ends itself. When it is ready it closes descriptor 5, or writes to it. It knows whose output this is
 * by CONTAINER_ID and CONTAINER_NAMESPACE, and has PATH besides, and nothing else of our environment.
 * Source: containerd's shim README, "Logging".
 *
 * It is never killed: it may hold the last words of a container. Should the shim be, the pipes
 * end and so does it. jobs_reap() may collect it first, and then its status is not known here.
 */
#ifndef SHIM_LOGGER_H
#define SHIM_LOGGER_H

#include "loop.h"
#include "uri.h"

struct logger;

enum { LOGGER_STDOUT, LOGGER_STDERR, LOGGER_PIPES };

/* Whose output it is; NULL is as good as "". */
struct logger_name {
	const char *id, *namespace;
};

/**
 * logger_start() - run it
 * @uri: of kind URI_BINARY
 * @pipes: set to our ends, non-blocking, the caller's to close: one that is closed at once has no
 *         output
 * @ended: called once, from the loop, when it has ended, unless logger_free() comes first
 * Return: the logger, or NULL with @err and nothing running.
 */
struct logger *logger_start(struct loop *loop, const struct uri *uri,
			    const struct logger_name *name, int pipes[LOGGER_PIPES], loop_fn *ended,
			    void *arg, struct qbx_err *err) _must_check_;

typedef void logger_ready_fn(void *arg, const struct qbx_err *err);

/**
 * logger_await() - wait until it is ready; one that ends has nothing to wait for
 * @ready: called once, from the loop, with the argument of logger_start(): with NULL, or after
 *         @timeout_ms with what is wrong
 * Return: 0, or -1 with @err and @ready not called.
 */
int logger_await(struct logger *l, unsigned timeout_ms, logger_ready_fn *ready,
		 struct qbx_err *err) _must_check_;

/** logger_ended() - has it? */
bool logger_ended(const struct logger *l);

/** logger_path() - its program, for a message. */
const char *logger_path(const struct logger *l);

/** logger_free() - forget it, without calling back; it runs on. NULL is allowed. */
void logger_free(struct logger *l);

#endif
