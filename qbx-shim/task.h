/* SPDX-License-Identifier: Apache-2.0 */
/* task.h - calls on the task service inside the guest, containerd.task.v3.Task as guest.h narrows
 * it */
#ifndef SHIM_TASK_H
#define SHIM_TASK_H

#include <jansson.h>

#include "fifo.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define TASK_MOUNTS_MAX 256u

/**
 * task_create() - Create: mount, and make the container without running it
 * @bundle: a name for it in the guest
 * @spec: text of config.json
 * @mounts: fs.mounts of the document
 * Return: 0 and @done follows, or -1 with @err (EX_DATAERR).
 */
int task_create(struct ttrpc_conn *guest, const char *id, const char *bundle, const char *spec,
		size_t spec_len, const json_t *mounts, const struct fifos *io, ttrpc_done_fn *done,
		void *arg, struct qbx_err *err) _must_check_;

/** task_start() - run it. */
void task_start(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

/** task_wait() - have @done called with a WaitResponse when it has ended; no deadline. */
void task_wait(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

/** task_kill() - send a signal. */
void task_kill(struct ttrpc_conn *guest, const char *id, uint32_t signal, bool all,
	       ttrpc_done_fn *done, void *arg);

/** task_delete() - forget it and unmount. */
void task_delete(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg);

#endif
