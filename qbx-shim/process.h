/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - one process as containerd sees it: a container's first, or an exec
 *
 * Theory of Operation
 *
 *   PROCESS_NEW        the first: its container is being made; an exec goes to CREATED at once
 *   PROCESS_CREATED    it may be started
 *   PROCESS_STARTING   the guest's Start is pending, and before it, for an exec, what makes it there
 *   PROCESS_BEGUN      the first: it runs, and so do its container's poststart hooks
 *   PROCESS_RUNNING    Start was answered; the guest's Wait is pending
 *   PROCESS_DRAINING   it has ended; its output is still on the way
 *   PROCESS_STOPPED    output is done, the exit is published, Wait is answered
 *
 * The guest's Wait for the first process is pending from CREATED on, so its exit may be learned of in
 * any state. One that comes while STARTING or BEGUN waits for Start's answer, so that the events keep their
 * order; and the first one's is held until every exec is STOPPED, for it is the container's last.
 * A VM that is lost ends every process with status 137.
 */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

#include <stdbool.h>
#include <time.h>

#include "fifo.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define PROCESS_KILLED 137u /* 128 + SIGKILL: exit status when nobody else knows one */

enum process_state {
	PROCESS_NEW,
	PROCESS_CREATED,
	PROCESS_STARTING,
	PROCESS_BEGUN,
	PROCESS_RUNNING,
	PROCESS_DRAINING,
	PROCESS_STOPPED,
};

struct container;
struct waiter;

struct process {
	struct process *next;
	struct container *container;
	char *exec_id; /* "" for the first */
	enum process_state state;
	struct fifos io;
	bool terminal;
	uint32_t width, height; /* of it, as ResizePty had it last; 0: never */
	char *spec; /* text: of the container, or of the exec's process, until the guest has it */
	size_t spec_len;
	unsigned long long mark;     /* io_now_us() of the present step */
	struct ttrpc_call *starting; /* to be answered */
	struct waiter *waiters;	     /* parked Waits */
	bool exited;
	uint32_t exit_status;
	struct timespec exited_at;
};

/* What a process is to be connected to, as a request names it. */
struct process_io {
	const char *stdin, *stdout, *stderr;
	bool terminal;
};

/**
 * process_init() - a new process with its outputs open
 * @p: of a container that has a shim, an id and a bundle
 * Return: 0, or -1 with @err; process_clear() takes back all of it in either case.
 */
int process_init(struct process *p, struct container *c, const char *exec_id,
		 const struct process_io *io, struct qbx_err *err) _must_check_;

/** process_clear() - close and free what it has; what still waits is answered with an error. */
void process_clear(struct process *p);

/** process_task_io() - what the guest is to connect it to: after fifos_dial(). */
struct task_io process_task_io(const struct process *p);

/** process_is_init() - is it a container's first? */
bool process_is_init(const struct process *p);

/* Each of these answers @call, now or later; the last two are in process-kill.c. */
void process_start(struct process *p, struct ttrpc_call *call);
void process_wait(struct process *p, struct ttrpc_call *call);
void process_kill(struct process *p, struct ttrpc_call *call, uint32_t signal, bool all);
void process_resize(struct process *p, struct ttrpc_call *call, uint32_t width, uint32_t height);

/** process_await() - have the guest tell its end. */
void process_await(struct process *p);

/** process_start_done() - answer Start, of a first process that runs; @err: it was in vain, and it dies. */
void process_start_done(struct process *p, const struct qbx_err *err);

/** process_lost() - it ends with its VM, because of @err. */
void process_lost(struct process *p, const struct qbx_err *err);

/** process_stopped() - tell its end; by container_stopped() when nothing holds it back. */
void process_stopped(struct process *p);

/** process_never_ran() - a created one is given up: it has ended without having begun. */
void process_never_ran(struct process *p);

/** process_forget_waiters() - drop parked Waits whose connection has gone. */
void process_forget_waiters(struct process *p);

/** timestamp() - for a message; valid as long as @m. */
Google__Protobuf__Timestamp *timestamp(Google__Protobuf__Timestamp *m, const struct timespec *at);

#endif
