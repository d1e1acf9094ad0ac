/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - one task as containerd sees it: a sandbox, and the processes in it
 *
 * Theory of Operation
 *
 *   CONTAINER_CREATING  its sandbox comes up, stdio is connected, the guest makes the container
 *   CONTAINER_STANDING  Create was answered; its processes have states of their own
 *   CONTAINER_PAUSING   Pause was called: the guest freezes its processes, then the VM is stopped
 *   CONTAINER_PAUSED    Pause was answered
 *   CONTAINER_RESUMING  Resume was called: the same backwards
 *   CONTAINER_DELETING  the sandbox goes down, and takes it along; STANDING again if that fails
 *
 * A failure while CREATING takes the sandbox down first and answers Create afterwards, so that an
 * error means that nothing is left; a Delete in that state is such a failure.
 */
#ifndef SHIM_CONTAINER_H
#define SHIM_CONTAINER_H

#include "hooks.h"
#include "process.h"
#include "sandbox.h"
#include "shim.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define EXECS_MAX 512u /* of a container, with those that are not deleted yet */

enum container_state {
	CONTAINER_CREATING,
	CONTAINER_STANDING,
	CONTAINER_PAUSING,
	CONTAINER_PAUSED,
	CONTAINER_RESUMING,
	CONTAINER_DELETING,
};

struct container {
	struct container *next;
	struct shim *shim;
	struct sandbox *sandbox;
	enum container_state state;
	char *id, *bundle;
	pid_t pid; /* QEMU's, also when it has gone: it is where every process runs */
	struct process init;
	bool init_drained; /* it has ended, and its output is out */
	struct process *execs;
	struct hooks hooks;		/* of this host */
	unsigned long long hooks_begun; /* io_now_us() */
	unsigned long long begun;	/* io_now_us() of Create */

	struct ttrpc_call *creating, *pausing, *deleting; /* to be answered; pausing: Resume, too */
	bool frozen; /* while RESUMING: the processes, not only the VM */
	bool woken;  /* while PAUSING: it must not come to that, for SIGKILL was sent */
	bool failed; /* while CREATING: it is being undone, because of */
	struct qbx_err why;

	struct watch *oom_rest;	   /* until the guest is asked again */
	json_t *resources;	   /* what Update has said so far, or NULL; owned */
	ProtobufCBinaryData stats; /* while PAUSED: as they were last, packed; owned */
};

/* container.c */

/** container_find() - by id, or NULL. */
struct container *container_find(const struct shim *shim, const char *id);

/** container_process() - by its exec id, "" for the first; or NULL. */
struct process *container_process(struct container *c, const char *exec_id);

/** container_forget_waiters() - drop parked Waits whose connection has gone. */
void container_forget_waiters(struct container *c);

/** container_runs() - has its first process begun and not ended? */
bool container_runs(const struct container *c);

/** container_paused() - is it paused, or on the way there or back; or does its VM stand still? */
bool container_paused(const struct container *c);

void container_delete(struct container *c, struct ttrpc_call *call);

/** container_free() - and its sandbox; what still waits is answered with an error. */
void container_free(struct container *c);

/** container_drained() - a process of it has ended and all its output is out: who can be told? */
void container_drained(struct container *c, struct process *p);

/** container_hold() - have nothing go to its processes until it is let go again. */
void container_hold(struct container *c, bool hold);

/** container_lost() - its sandbox was lost, after CREATING. */
void container_lost(struct container *c, const struct qbx_err *err);

/** container_sandbox_down() - sandbox_ops.down after CREATING. */
void container_sandbox_down(struct container *c, const struct qbx_err *err);

/* create.c */

/** container_create() - answer @call when the container stands, or nothing of it is left. */
void container_create(struct shim *shim, struct ttrpc_call *call,
		      const Qemubox__Task__CreateRequest *request);

/** container_abort() - have the Create that is under way fail. */
void container_abort(struct container *c, const struct qbx_err *why);

/** container_make() - its hooks have run: have the guest make it. */
void container_make(struct container *c);

/* container-hooks.c */

/** container_hooks_create() - prestart and createRuntime; container_make() or container_abort() follows.
 */
void container_hooks_create(struct container *c);

/** container_hooks_start() - poststart; process_start_done() follows, unless the sandbox is lost. */
void container_hooks_start(struct container *c);

/** container_hooks_stop() - poststop; sandbox_undo() follows. */
void container_hooks_stop(struct container *c);

/* exec.c */

/** container_exec() - a further process, to be started. */
void container_exec(struct container *c, struct ttrpc_call *call,
		    const Qemubox__Task__ExecRequest *request);

/** exec_delete() - forget one that does not run. */
void exec_delete(struct process *p, struct ttrpc_call *call);

/* pause.c */
void container_pause(struct container *c, struct ttrpc_call *call);
void container_resume(struct container *c, struct ttrpc_call *call);

/** pause_lost() - what was on the way comes to nothing. */
void pause_lost(struct container *c, const struct qbx_err *err);

/* update.c */

/** container_update() - other limits: in the guest, and the VM follows where it has to grow. */
void container_update(struct container *c, struct ttrpc_call *call,
		      const Qemubox__Task__UpdateRequest *request);

/* pids.c */

/** container_pids() - its processes that run, as this host has them. */
void container_pids(const struct container *c, struct ttrpc_call *call);

/* metrics.c */

/** container_stats() - what it uses, as its guest counts it. */
void container_stats(struct container *c, struct ttrpc_call *call);

/* oom.c */

/** oom_watch() - publish what the guest says of processes that were killed for want of memory. */
void oom_watch(struct container *c);

/* publish.c - the events of a task; see events.h */
void publish_create(const struct container *c);
void publish_start(const struct container *c);
void publish_exec_added(const struct process *p);
void publish_exec_started(const struct process *p);
void publish_exit(const struct process *p);
void publish_delete(const struct container *c);
void publish_oom(const struct container *c);
void publish_paused(const struct container *c);
void publish_resumed(const struct container *c);

#endif
