/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-halt.c - a VM stands still, and goes on with its clock right */
#include "clock.h"
#include "heartbeat.h"
#include "log.h"
#include "monitor.h"
#include "sandbox.h"

static void answered(struct sandbox_command *c, const struct qbx_err *err)
{
	qmp_done_fn *done = c->done;

	c->done = NULL;
	if (done)
		done(c->arg, NULL, err);
	else if (err)
		log_warn("%s", err->msg);
}

static void on_clock(void *arg)
{
	struct sandbox *s = arg;

	s->syncing = false;
	if (s->heartbeat)
		heartbeat_leave_clock(s->heartbeat, false);
	answered(&s->go, NULL);
}

/* Before anything else of a guest that goes on: its clock stood still with it. */
static void sync_clock(struct sandbox *s)
{
	struct qbx_err err = { 0 };

	s->syncing = s->control && clock_sync(s->control, on_clock, s, &err) == 0;
	if (err.code)
		log_warn("%s: %s", s->box.key, err.msg);
	if (s->heartbeat && s->syncing)
		heartbeat_leave_clock(s->heartbeat, true);
}

static void set_paused(struct sandbox *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (s->control)
		ttrpc_hold(s->control, paused);
	if (!paused)
		sync_clock(s);
	if (s->heartbeat) /* at once: a guest may hang, too, where its clock is put right */
		heartbeat_pause(s->heartbeat, paused);
	if (s->state == SANDBOX_UP)
		s->ops->held(s->arg, paused);
}

static void on_status(void *arg, json_t *ret, const struct qbx_err *err)
{
	if (!err && json_is_true(json_object_get(ret, "running")))
		set_paused(arg, false);
}

void sandbox_on_monitor(void *arg, bool paused, bool gone)
{
	struct sandbox *s = arg;
	struct qbx_err err = { 0 };

	if (gone)
		heartbeat_free(take_ptr(s->heartbeat));
	if (paused || gone)
		set_paused(s, paused);
	else if (monitor_command(s->monitor, "query-status", on_status, s, &err) < 0)
		log_warn("%s: %s", s->box.key, err.msg);
}

static void on_halted(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)ret;
	if (err)
		set_paused(s, false);
	answered(&s->halt, err);
}

static void on_going(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)ret;
	if (!err)
		set_paused(s, false);
	if (err || !s->syncing)
		answered(&s->go, err);
}

static void command(struct sandbox *s, const char *name, qmp_done_fn *done)
{
	struct qbx_err err = { 0 };

	if (!s->monitor)
		err_code(&err, EX_UNAVAILABLE, "the VM is gone");
	else if (monitor_command(s->monitor, name, done, s, &err) == 0)
		return;
	done(s, NULL, &err);
}

bool sandbox_may_halt(const struct sandbox *s)
{
	return s->guest.cid != 0;
}

void sandbox_halt(struct sandbox *s, qmp_done_fn *done, void *arg)
{
	s->halt = (struct sandbox_command){ done, arg };
	set_paused(s, true);
	command(s, "stop", on_halted);
}

void sandbox_go_on(struct sandbox *s, qmp_done_fn *done, void *arg)
{
	if (done)
		s->go = (struct sandbox_command){ done, arg };
	command(s, "cont", on_going);
}
