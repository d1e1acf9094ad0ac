/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.c - Pause and Resume
 *
 * Pause: the guest freezes the container's processes and what they write to, and says what they
 * use, then QEMU stops the VM, which costs no processor any more. From here on the disk can be
 * read, which is written down, and if the container is to be committed it is exported. Resume:
 * that ends, the VM goes on, its clock is put right, then the processes go on. What fails
 * half-way is undone, but an export that failed is only logged.
 *
 * Where vhost-device-vsock carries the connections the VM is not stopped: see sandbox_may_halt().
 */
#include "container.h"
#include "log.h"
#include "metrics.h"
#include "still.h"
#include "task.h"

static const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

/* It was not to be; @state is what it was before. */
static void fail(struct container *c, enum container_state state, enum ttrpc_code code,
		 const char *message)
{
	c->state = state;
	ttrpc_fail(take_ptr(c->pausing), code, "task %s: %s", c->id, message);
}

/* Did the connection fail, rather than the guest say no? Then the sandbox tells why, soon. */
static bool guest_is_lost(struct container *c, enum ttrpc_code code, const char *message)
{
	if (c->sandbox->control && code != TTRPC_UNAVAILABLE && code != TTRPC_CANCELLED)
		return false;
	sandbox_suspect(c->sandbox, message);
	return true;
}

void pause_lost(struct container *c, const struct qbx_err *err)
{
	if (c->pausing)
		ttrpc_fail_err(take_ptr(c->pausing), err);
	if (c->state >= CONTAINER_PAUSING && c->state <= CONTAINER_RESUMING)
		c->state = CONTAINER_STANDING;
	metrics_forget(c);
}

/* ---- Pause ---- */

static void undo_freeze(struct container *c, enum ttrpc_code code, const char *message)
{
	struct qbx_err err = { 0 };

	if (still_end(c->sandbox->dirfd, &err) < 0)
		log_warn("task %s: %s", c->id, err.msg);
	if (c->sandbox->control)
		task_resume(c->sandbox->control, c->id, NULL, NULL);
	metrics_forget(c);
	fail(c, CONTAINER_STANDING, code, message);
}

/* Was it killed on the way? Then that has been undone. */
static bool was_woken(struct container *c)
{
	if (!c->woken && !c->init.exited)
		return false;
	sandbox_go_on(c->sandbox, NULL, NULL);
	undo_freeze(c, TTRPC_FAILED_PRECONDITION, "it was killed meanwhile");
	return true;
}

static void on_still(void *arg)
{
	struct container *c = arg;

	if (c->state == CONTAINER_DELETING && c->pausing)
		ttrpc_fail(take_ptr(c->pausing), TTRPC_FAILED_PRECONDITION,
			   "task %s: it was deleted meanwhile", c->id);
	if (c->state != CONTAINER_PAUSING || was_woken(c))
		return;
	c->state = CONTAINER_PAUSED;
	publish_paused(c);
	ttrpc_reply(take_ptr(c->pausing), &empty.base);
}

static void on_halted(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct container *c = arg;
	struct qbx_err own = { 0 };

	(void)ret;
	if (c->state != CONTAINER_PAUSING)
		return;
	if (err) {
		undo_freeze(c, TTRPC_UNAVAILABLE, err->msg);
		return;
	}
	if (was_woken(c))
		return;
	if (still_begin(c->sandbox->dirfd, &own) < 0)
		log_warn("task %s: %s", c->id, own.msg);
	if (sandbox_commits(c->sandbox))
		sandbox_export(c->sandbox, on_still, c);
	else
		on_still(c);
}

static void on_measured(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			const char *message)
{
	struct container *c = arg;

	if (c->state != CONTAINER_PAUSING || guest_is_lost(c, code, message))
		return;
	if (code == TTRPC_OK)
		metrics_keep(c, reply);
	if (sandbox_may_halt(c->sandbox))
		sandbox_halt(c->sandbox, on_halted, c);
	else
		on_halted(c, NULL, NULL);
}

static void on_frozen(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct container *c = arg;

	(void)reply;
	if (c->state != CONTAINER_PAUSING || guest_is_lost(c, code, message))
		return;
	if (code != TTRPC_OK)
		undo_freeze(c, code, message);
	else
		task_stats(c->sandbox->control, c->id, on_measured, c);
}

void container_pause(struct container *c, struct ttrpc_call *call)
{
	if (container_paused(c) || !container_runs(c) || !c->sandbox->control) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s %s", c->id,
			   container_runs(c) ? "is paused already" : "does not run");
		return;
	}
	c->state = CONTAINER_PAUSING;
	c->pausing = call;
	c->woken = false;
	task_pause(c->sandbox->control, c->id, on_frozen, c);
}

/* ---- Resume ---- */

static void resumed(struct container *c)
{
	c->state = CONTAINER_STANDING;
	metrics_forget(c);
	publish_resumed(c);
	ttrpc_reply(take_ptr(c->pausing), &empty.base);
}

static void on_thawed(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct container *c = arg;

	(void)reply;
	if (c->state != CONTAINER_RESUMING || guest_is_lost(c, code, message))
		return;
	if (code == TTRPC_OK) {
		resumed(c);
		return;
	}
	sandbox_halt(c->sandbox, NULL, NULL);
	fail(c, CONTAINER_PAUSED, code, message);
}

static void on_going(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct container *c = arg;

	(void)ret;
	if (c->state != CONTAINER_RESUMING || guest_is_lost(c, TTRPC_OK, "it does not answer"))
		return;
	if (err)
		fail(c, CONTAINER_PAUSED, TTRPC_UNAVAILABLE, err->msg);
	else if (c->frozen)
		task_resume(c->sandbox->control, c->id, on_thawed, c);
	else
		resumed(c);
}

/* A VM that was stopped by hand only goes on, too. */
void container_resume(struct container *c, struct ttrpc_call *call)
{
	bool by_hand = c->state == CONTAINER_STANDING && c->sandbox->paused;
	struct qbx_err err = { 0 };

	if (c->state != CONTAINER_PAUSED && !by_hand) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s is not paused", c->id);
		return;
	}
	if (still_end(c->sandbox->dirfd, &err) < 0) {
		ttrpc_fail_err(call, &err);
		return;
	}
	c->frozen = !by_hand;
	c->state = CONTAINER_RESUMING;
	c->pausing = call;
	sandbox_go_on(c->sandbox, on_going, c);
}
