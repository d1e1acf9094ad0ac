/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-down.c - what was brought up for a VM is undone, whether it was done or not */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "io.h"
#include "json.h"
#include "log.h"
#include "sandbox.h"
#include "still.h"

static const struct helper_spec vm_stop = { "qbx-vm", "stop", NULL, 0, 30000, 0 };
static const struct helper_spec fs_release = { "qbx-fs", "release", NULL, 0, 60000, 0 };
/* As with "add": a chain of plugins is not interrupted half-way. */
static const struct helper_spec net_del = { "qbx-net", "del", NULL, 0, 60000, 1 };

static void undone(struct sandbox *s, const char *phase, const struct qbx_err *err)
{
	s->helpers--;
	sandbox_time(s, phase, s->mark);
	if (!err)
		return;
	log_error("%s: %s: %s", s->box.key, err->stage, err->msg);
	if (!s->undo_err.code)
		s->undo_err = *err;
}

/* Keep the last document for people, then let the box's directory go: unless it is still needed. */
static void finish(void *arg)
{
	struct sandbox *s = arg;
	struct qbx_err err = { .stage = "qbx-shim" };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.json", s->shim->cfg.log_dir, s->box.key);
	if (io_mkdirs(s->shim->cfg.log_dir, 0755, &err) < 0 ||
	    json_write_file(AT_FDCWD, path, 0600, s->box.doc, &err) < 0)
		log_warn("the last document is not kept: %s", err.msg);
	if (!s->undo_err.code && box_dir_remove(&s->shim->cfg, &s->box, &err) < 0)
		s->undo_err = err;
	s->deferred = NULL;
	s->state = SANDBOX_DOWN;
	s->ops->down(s->arg, s->undo_err.code ? &s->undo_err : NULL);
}

/* Never before sandbox_down() has returned, even when no helper could be started. */
static void finish_when_undone(struct sandbox *s)
{
	if (s->helpers > 0)
		return;
	s->deferred = loop_defer(s->shim->loop, finish, s);
	if (!s->deferred)
		BUG("out of memory");
}

static void on_released(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)doc;
	undone(s, "release", err);
	finish_when_undone(s);
}

static void on_deleted(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)doc;
	undone(s, "del", err);
	finish_when_undone(s);
}

/* Start one step back; one that cannot even start counts as failed. */
static void step_back(struct sandbox *s, const struct helper_spec *spec, helper_done_fn *done)
{
	struct qbx_err err = { 0 };

	s->helpers++;
	if (helper_run(&s->shim->jobs, spec, s->box.doc, done, s, &err) < 0)
		done(s, NULL, &err);
}

/* The VM has gone, for good. */
static void stopped(void *arg)
{
	struct sandbox *s = arg;

	s->state = SANDBOX_UNDOING;
	s->ops->stopped(s->arg);
}

static void on_stopped(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)doc;
	undone(s, "stop", err);
	if (err || !s->committing)
		stopped(s);
	else
		sandbox_export(s, stopped, s);
}

void sandbox_undo(struct sandbox *s)
{
	s->mark = io_now_us();
	s->helpers++; /* this function's own hold, so that the two below finish together */
	step_back(s, &fs_release, on_released);
	step_back(s, &net_del, on_deleted);
	s->helpers--;
	finish_when_undone(s);
}

void sandbox_hold(struct sandbox *s)
{
	s->helpers++;
}

void sandbox_let_go(struct sandbox *s)
{
	s->helpers--;
	if (s->state == SANDBOX_STOPPING)
		sandbox_down_when_idle(s);
}

void sandbox_down_when_idle(struct sandbox *s)
{
	if (s->helpers > 0)
		return;
	s->mark = io_now_us();
	step_back(s, &vm_stop, on_stopped);
}

void sandbox_down(struct sandbox *s)
{
	struct qbx_err err = { 0 };

	if (s->state == SANDBOX_STOPPING || s->state == SANDBOX_UNDOING)
		return;
	/* Once: a second try at undoing finds the guest gone, and what it wrote exported. */
	s->committing = s->state == SANDBOX_UP && sandbox_commits(s);
	if (still_end(s->dirfd, &err) < 0) /* an export of it that runs is given up */
		log_warn("%s: %s", s->box.key, err.msg);
	s->state = SANDBOX_STOPPING; /* first: calls that fail now are no news */
	sandbox_forget_vm(s);
	memset(&s->undo_err, 0, sizeof(s->undo_err));
	sandbox_down_when_idle(s);
}
