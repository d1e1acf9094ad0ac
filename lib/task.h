/* SPDX-License-Identifier: Apache-2.0 */
/* task.h - calls on the task service in a guest: containerd.task.v3.Task, as guest.h narrows it */
#ifndef QBX_TASK_H
#define QBX_TASK_H

#include <jansson.h>

#include "task.pb-c.h"
#include "ttrpc.h"

#define TASK_MOUNTS_MAX 600u

enum { TASK_STDIN, TASK_STDOUT, TASK_STDERR, TASK_STREAMS };

/* A process's stdio: the numbers that the streams were dialled with, 0 for none. */
struct task_io {
	uint32_t streams[TASK_STREAMS];
	bool terminal; /* the first two lead to it, and the third is none */
};

/**
 * task_create() - Create: mount, and make the container without running it
 * @spec: text of config.json
 * @mounts: fs.mounts of the document
 * Return: 0 and @done follows, or -1 with @err (EX_DATAERR).
 */
int task_create(struct ttrpc_conn *guest, const char *id, const char *spec, size_t spec_len,
		const json_t *mounts, const struct task_io *io, ttrpc_done_fn *done, void *arg,
		struct qbx_err *err) _must_check_;

/**
 * task_exec() - Exec: register a further process in a container that runs
 * @exec_id: a new one
 * @process: text of an OCI process
 */
void task_exec(struct ttrpc_conn *guest, const char *id, const char *exec_id, const char *process,
	       size_t len, const struct task_io *io, ttrpc_done_fn *done, void *arg);

/* In all of these @exec_id is "" for the container's first process. */

/** task_start() - run it. */
void task_start(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
		void *arg);

/** task_wait() - have @done called with a WaitResponse when it has ended; no deadline. */
void task_wait(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
	       void *arg);

/** task_delete() - forget it, when it has ended. */
void task_delete(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
		 void *arg);

/** task_kill() - send a signal; @all: to all of the container. */
void task_kill(struct ttrpc_conn *guest, const char *id, const char *exec_id, uint32_t signal,
	       bool all, ttrpc_done_fn *done, void *arg);

/** task_resize_pty() - its terminal has another size; without one nothing happens. */
void task_resize_pty(struct ttrpc_conn *guest, const char *id, const char *exec_id, uint32_t width,
		     uint32_t height, ttrpc_done_fn *done, void *arg);

/** task_pause() - Pause: freeze all processes of a container; done when they stand still. */
void task_pause(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

/** task_resume() - Resume. */
void task_resume(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

/** task_stats() - Stats: what it uses; @done has a StatsResponse. */
void task_stats(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

/** task_update() - Update: other limits, @resources being the text of linux.resources. */
void task_update(struct ttrpc_conn *guest, const char *id, const char *resources, size_t len,
		 ttrpc_done_fn *done, void *arg);

#endif
