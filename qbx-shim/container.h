/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - one task as containerd sees it
 *
 * Theory of Operation
 *
 *   CONTAINER_CREATING  its sandbox comes up, stdio is connected, the guest makes the container
 *   CONTAINER_CREATED   Create was answered; the guest's Wait is pending from here on
 *   CONTAINER_STARTING  the guest's Start is pending
 *   CONTAINER_RUNNING   Start was answered
 *   CONTAINER_DRAINING  the process has ended; its output is still on the way
 *   CONTAINER_STOPPED   output is done, the exit is published, Wait is answered
 *   CONTAINER_DELETING  the sandbox goes down, and takes it along; STOPPED again if that fails
 *
 * An exit may be learned of in any state from CREATED on. One that comes while STARTING waits for
 * Start's answer, so that the events keep their order. A sandbox that is lost ends the process with
 * status 137.
 *
 * A failure while CREATING takes the sandbox down first and answers Create afterwards, so that an
 * error means that nothing is left; a Delete in that state is such a failure.
 */
#ifndef SHIM_CONTAINER_H
#define SHIM_CONTAINER_H

#include <time.h>

#include "fifo.h"
#include "sandbox.h"
#include "shim.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define CONTAINER_KILLED 137u /* 128 + SIGKILL: exit status when nobody else knows one */

enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_DRAINING,
	CONTAINER_STOPPED,
	CONTAINER_DELETING,
};

/* A parked Wait. */
struct waiter {
	struct waiter *next;
	struct ttrpc_call *call;
};

struct container {
	struct container *next;
	struct shim *shim;
	struct sandbox *sandbox;
	enum container_state state;
	char *id, *bundle;
	struct fifos io;
	pid_t pid;  /* QEMU's, also when it has gone */
	char *spec; /* text of config.json, until the guest has it */
	size_t spec_len;
	unsigned long long mark;  /* io_now_us() of the present step */
	unsigned long long begun; /* of Create */

	struct ttrpc_call *creating, *starting, *deleting; /* to be answered */
	struct waiter *waiters;
	bool failed; /* while CREATING: it is being undone, because of */
	struct qbx_err why;

	json_t *resources; /* what Update has said so far, or NULL; owned */
	bool exited;
	uint32_t exit_status;
	struct timespec exited_at;
};

/* container.c */

/** container_find() - by id, or NULL. */
struct container *container_find(const struct shim *shim, const char *id);

void container_start(struct container *c, struct ttrpc_call *call);
void container_wait(struct container *c, struct ttrpc_call *call);
void container_kill(struct container *c, struct ttrpc_call *call, uint32_t signal, bool all);
void container_delete(struct container *c, struct ttrpc_call *call);

/** container_forget_waiters() - drop parked Waits whose connection has gone. */
void container_forget_waiters(struct container *c);

/** container_free() - and its sandbox; what still waits is answered with an error. */
void container_free(struct container *c);

/** container_created() - CREATING has succeeded: have the guest tell the exit. */
void container_created(struct container *c);

/** container_lost() - its sandbox was lost, after CREATING. */
void container_lost(struct container *c, const struct qbx_err *err);

/** container_sandbox_down() - sandbox_ops.down after CREATING. */
void container_sandbox_down(struct container *c, const struct qbx_err *err);

/** timestamp() - for a message; valid as long as @m. */
Google__Protobuf__Timestamp *timestamp(Google__Protobuf__Timestamp *m, const struct timespec *at);

/* update.c */

/** container_update() - other limits: in the guest, and the VM follows where it has to grow. */
void container_update(struct container *c, struct ttrpc_call *call,
		      const Qemubox__Task__UpdateRequest *request);

/* create.c */

/** container_create() - answer @call when the container stands, or nothing of it is left. */
void container_create(struct shim *shim, struct ttrpc_call *call,
		      const Qemubox__Task__CreateRequest *request);

/** container_abort() - have the Create that is under way fail. */
void container_abort(struct container *c, const struct qbx_err *why);

#endif
