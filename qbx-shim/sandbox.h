/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - one VM: brought up, watched and taken down by the other commands
 *
 * Theory of Operation
 *
 *   SANDBOX_PREPARING  qbx-net add and qbx-fs prepare run, side by side
 *   SANDBOX_BOOTING    qbx-vm start runs
 *   SANDBOX_DIALLING   the guest's control port is being connected
 *   SANDBOX_UP         the guest answers
 *   SANDBOX_LOST       one of the above failed, QEMU or the connection to the guest has gone, or the
 *                      guest gave no sign of life: why is in the document, under "end"
 *   SANDBOX_STOPPING   sandbox_down(): the helpers of the way up may end, then qbx-vm stop runs
 *                      and, if it is to be committed, qbx-fs export
 *   SANDBOX_UNDOING    the owner does what it has to when the VM has gone, then qbx-fs release and
 *                      qbx-net del run, side by side
 *   SANDBOX_DOWN       nothing is left, or sandbox_down() may be tried again
 *
 * They follow each other in this order; failure leads to LOST from anywhere before STOPPING.
 * Nothing is undone before sandbox_down(), and sandbox_down() undoes everything, whether it was
 * done or not: the commands find out. What it needs is in box.json in the box's directory before
 * the first helper starts, so "delete" can do the same when this process is gone.
 */
#ifndef SHIM_SANDBOX_H
#define SHIM_SANDBOX_H

#include "box.h"
#include "guest.h"
#include "qmp.h"
#include "shim.h"
#include "ttrpc.h"

enum sandbox_state {
	SANDBOX_PREPARING,
	SANDBOX_BOOTING,
	SANDBOX_DIALLING,
	SANDBOX_UP,
	SANDBOX_LOST,
	SANDBOX_STOPPING,
	SANDBOX_UNDOING,
	SANDBOX_DOWN,
};

/* What a sandbox tells its owner; each is called from the loop. */
struct sandbox_ops {
	void (*up)(void *arg);
	/* It came to nothing, or ended; @err says why. Called once, never after sandbox_down(). */
	void (*lost)(void *arg, const struct qbx_err *err);
	/* The VM stands still, and nothing may be sent to its guest; or it goes on. */
	void (*held)(void *arg, bool hold);
	/* The VM has gone, its network namespace has not; sandbox_undo() is to follow. */
	void (*stopped)(void *arg);
	/* All is undone, or @err says what is not. */
	void (*down)(void *arg, const struct qbx_err *err);
};

struct sandbox_command {
	qmp_done_fn *done;
	void *arg;
};

struct sandbox {
	struct shim *shim;
	const struct sandbox_ops *ops;
	void *arg;
	enum sandbox_state state;
	bool committing;   /* what the container wrote is exported on the way down */
	bool volumes_gone; /* virtiofsd has ended */
	bool paused;	   /* the VM stands still, or is about to */
	bool syncing;	   /* the guest's clock, as it goes on again */

	struct box box;
	int dirfd;		 /* the box's directory */
	unsigned helpers;	 /* running */
	unsigned long long mark; /* when the present phase began, io_now_us() */

	pid_t pid; /* QEMU; 0 before and after */
	int pidfd;
	int virtiofsd; /* a pidfd, while it runs and the VM has shares */
	uint32_t next_stream;
	struct watch *pid_watch, *virtiofsd_watch;
	struct monitor *monitor;	 /* while QEMU starts and runs */
	struct files *files;		 /* from UP on */
	struct console *console;	 /* while QEMU runs */
	struct heartbeat *heartbeat;	 /* while UP */
	struct sandbox_command halt, go; /* what waits for QEMU's answer */
	struct {
		loop_fn *done;
		void *arg;
		unsigned long long begun; /* io_now_us() */
	} export;			  /* while it runs */

	struct guest guest;
	struct dial *dial;
	struct ttrpc_conn *control; /* while UP, or NULL when it has just gone */
	struct scale *scale;	    /* while UP */
	struct watch *grace;	    /* runs after sandbox_suspect() */
	struct qbx_err suspicion;

	struct watch *deferred;
	struct qbx_err early;	 /* a helper that could not even be started */
	struct qbx_err undo_err; /* the first thing that could not be undone */
};

/**
 * sandbox_new() - bring a VM up
 * @doc: the document's input part; taken
 * Return: the sandbox; ops->up or ops->lost follows. Or NULL with @err and nothing left.
 */
struct sandbox *sandbox_new(struct shim *shim, json_t *doc, const struct sandbox_ops *ops,
			    void *arg, struct qbx_err *err) _must_check_;

/** sandbox_suspect() - the guest failed us: unless QEMU's end explains it first, ops->lost follows.
 */
void sandbox_suspect(struct sandbox *s, const char *why);

/**
 * sandbox_resize() - have "qbx-vm resize" run; scale_resized() follows, while UP
 * @option: what size, or NULL for what @doc asks
 * Return: 0, or -1 with @err and nothing started.
 */
int sandbox_resize(struct sandbox *s, const char *option, const json_t *doc,
		   struct qbx_err *err) _must_check_;

/** sandbox_kill() - end QEMU at once; ops->lost follows. */
void sandbox_kill(struct sandbox *s, const char *why);

/*
 * To a VM that stands still nothing is sent: vhost-vsock breaks connections then (Linux 7.2), and
 * vhost-device-vsock 0.3.0 dies. What is to be sent waits here, in the control connection and in the
 * clients' FIFOs.
 */

/**
 * sandbox_may_halt() - does a VM that was stopped come back?
 * Not with vhost-device-vsock, which does not even survive a connection that somebody else closes then.
 */
bool sandbox_may_halt(const struct sandbox *s);

/**
 * sandbox_halt() - have QEMU stop the VM
 * @done: called once, perhaps before this returns; not when the VM is lost meanwhile. May be NULL.
 */
void sandbox_halt(struct sandbox *s, qmp_done_fn *done, void *arg);

/** sandbox_go_on() - have it go on, with its clock put right. */
void sandbox_go_on(struct sandbox *s, qmp_done_fn *done, void *arg);

/** sandbox_down() - undo everything; ops->down follows. May be repeated after a failure. */
void sandbox_down(struct sandbox *s);

/** sandbox_undo() - go on after ops->stopped. */
void sandbox_undo(struct sandbox *s);

/** sandbox_hold() - something runs that sandbox_down() is to wait for. */
void sandbox_hold(struct sandbox *s);

/** sandbox_let_go() - it has ended. */
void sandbox_let_go(struct sandbox *s);

/** sandbox_free() - forget it: after ops->down, or when the process ends. NULL is allowed. */
void sandbox_free(struct sandbox *s);

/** sandbox_time() - note in the document how long a phase took, from @since (io_now_us()) to now.
 */
void sandbox_time(struct sandbox *s, const char *phase, unsigned long long since);

/** sandbox_commits() - is what the container wrote to be exported? */
bool sandbox_commits(const struct sandbox *s);

/**
 * sandbox_export() - have "qbx-fs export" run: the VM has gone, or what it writes to stands still
 * sandbox_down() waits for its end. That it fails is logged.
 * @done: called once, perhaps before this returns
 */
void sandbox_export(struct sandbox *s, loop_fn *done, void *arg);

typedef void sandbox_done_fn(void *arg, const struct qbx_err *err);

/**
 * sandbox_sync() - has somebody else put interfaces into the VM's namespace? Then the guest has those.
 * Return: 1 if nobody has; 0, and @done follows unless the sandbox is lost; or -1 with @err.
 */
int sandbox_sync(struct sandbox *s, sandbox_done_fn *done, void *arg,
		 struct qbx_err *err) _must_check_;

/* ---- between the sandbox's files ---- */

/** sandbox_merge() - take over the key that a helper has written. Return: 0, or -1 with @err. */
int sandbox_merge(struct sandbox *s, const json_t *doc, const char *key,
		  struct qbx_err *err) _must_check_;

/**
 * sandbox_on_monitor() - QEMU says that the VM was paused or goes on, or says nothing any more: then
 * nobody can tell. It says that it goes on before its devices do; when it answers the next command,
 * they do.
 */
void sandbox_on_monitor(void *arg, bool paused, bool gone);

/** sandbox_watch_volumes() - hold on to the virtiofsd that the document names, if it does. */
int sandbox_watch_volumes(struct sandbox *s, struct qbx_err *err) _must_check_;

void sandbox_forget_volumes(struct sandbox *s);

/** sandbox_forget_vm() - let go of QEMU, and of the ways to its guest; it lives on. */
void sandbox_forget_vm(struct sandbox *s);

/** sandbox_down_when_idle() - while STOPPING, begin to undo, once no helper of the way up runs. */
void sandbox_down_when_idle(struct sandbox *s);

#endif
