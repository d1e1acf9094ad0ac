/* SPDX-License-Identifier: Apache-2.0 */
/* container-hooks.c - when in the life of a container its hooks on this host run */
#include "container.h"
#include "io.h"
#include "log.h"

/* Return: hooks_run(). While they run the sandbox does not go down. */
static int run(struct container *c, enum hook_kind first, enum hook_kind last, hooks_done_fn *done,
	       struct qbx_err *err)
{
	int rc;

	c->hooks_begun = io_now_us();
	rc = hooks_run(&c->hooks, first, last, c->pid, done, c, err);
	if (rc == 0)
		sandbox_hold(c->sandbox);
	return rc;
}

/* ---- prestart, createRuntime ---- */

static void on_created(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	sandbox_time(c->sandbox, "hooks", c->hooks_begun);
	sandbox_let_go(c->sandbox);
	if (c->failed)
		return;
	if (err)
		container_abort(c, err);
	else
		container_make(c);
}

void container_hooks_create(struct container *c)
{
	struct qbx_err err = { .stage = "hook" };
	int rc = run(c, HOOK_PRESTART, HOOK_CREATE_RUNTIME, on_created, &err);

	if (rc < 0)
		container_abort(c, &err);
	else if (rc > 0)
		container_make(c);
}

/* ---- poststart ---- */

static void on_started(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	sandbox_let_go(c->sandbox);
	if (c->init.state == PROCESS_BEGUN)
		process_start_done(&c->init, err);
}

void container_hooks_start(struct container *c)
{
	struct qbx_err err = { .stage = "hook" };
	int rc = run(c, HOOK_POSTSTART, HOOK_POSTSTART, on_started, &err);

	if (rc != 0)
		process_start_done(&c->init, rc < 0 ? &err : NULL);
}

/* ---- poststop ---- */

static void on_stopped(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	(void)err; /* there is none: it was logged */
	sandbox_time(c->sandbox, "poststop", c->hooks_begun);
	sandbox_undo(c->sandbox);
}

void container_hooks_stop(struct container *c)
{
	struct qbx_err err = { .stage = "hook" };

	c->hooks_begun = io_now_us();
	if (hooks_run(&c->hooks, HOOK_POSTSTOP, HOOK_POSTSTOP, 0, on_stopped, c, &err) != 0)
		sandbox_undo(c->sandbox);
}
