/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeat.h - does the guest's kernel still live?
 *
 * Theory of Operation
 *
 * A Ping goes to the guest, and the next one a moment after its answer. While one is unanswered,
 * time is counted against the guest, in small steps, of which counts only what could have been of use
 * to it: not when the VM is paused or QEMU stopped, not while a thread of QEMU, the process that
 * carries vsock or we ourselves waited for a processor, and not more than two steps when all of this
 * host stood still. When half of its patience is gone, the guest is dialled as well: a connection is
 * accepted by its kernel, so a guest whose PID 1 is only busy clears itself by that.
 *
 * The answer has the guest's time, and its clock is put right by that: clock.h. Statistics that the guest
 * was asked for are an answer as good as any, and put the next ping off: each question wakes an idle guest,
 * the threads that carry it, QEMU and us some ten times. For the same reason a guest whose processors can be
 * seen to idle is asked only every four seconds: pulse.h.
 *
 * A guest that has used all of the patience and given no sign has hung. Under TCG, and where this host
 * is itself a virtual machine, whose time goes where it cannot see, that takes longer.
 */
#ifndef SHIM_HEARTBEAT_H
#define SHIM_HEARTBEAT_H

#include "guest.h"
#include "loop.h"
#include "ttrpc.h"

struct heartbeat;

/* What is watched. All of it outlives the heartbeat, but for a connection that is being freed. */
struct heartbeat_of {
	struct loop *loop;
	struct ttrpc_conn *control;
	const struct guest *guest;
	pid_t qemu, helper; /* helper: what carries vsock, or 0 */
	bool slow;	    /* TCG, or a host that is a guest itself: so more patience */
};

/** heartbeat_start() - call @hung, once, from the loop, when the guest has hung. */
struct heartbeat *heartbeat_start(const struct heartbeat_of *of, loop_fn *hung, void *arg,
				  struct qbx_err *err) _must_check_;

/* When something was asked of the guest. */
struct heartbeat_asked {
	int64_t ns; /* clock_now_ns() */
	unsigned turns;
};

/** heartbeat_ask() - something is asked of the guest now, for heartbeat_heard(). */
struct heartbeat_asked heartbeat_ask(const struct heartbeat *h);

/** heartbeat_heard() - that has been answered; @guest_ns: with the guest's CLOCK_REALTIME. */
void heartbeat_heard(struct heartbeat *h, const struct heartbeat_asked *asked, int64_t guest_ns);

/** heartbeat_pause() - the VM stands still, or goes on. */
void heartbeat_pause(struct heartbeat *h, bool paused);

/** heartbeat_leave_clock() - somebody else begins to put the guest's clock right, or has done so. */
void heartbeat_leave_clock(struct heartbeat *h, bool left);

void heartbeat_free(struct heartbeat *h); /* NULL is allowed */

#endif
