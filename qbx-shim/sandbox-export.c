/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-export.c - what the container wrote, for containerd to see */
#include "io.h"
#include "log.h"
#include "sandbox.h"

/* Longer than it gives itself. */
static const struct helper_spec fs_export = { "qbx-fs", "export", NULL, 0, 660000, 0 };

bool sandbox_commits(const struct sandbox *s)
{
	return json_is_true(json_object_get(s->box.doc, "commit"));
}

/* What was written is on its disk still, so nothing has to be done because of an error. */
static void on_exported(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;

	(void)doc;
	s->helpers--;
	sandbox_time(s, "export", s->export.begun);
	if (err)
		log_error("%s: not committed: %s: %s", s->box.key, err->stage, err->msg);
	s->export.done(s->export.arg);
	if (s->state == SANDBOX_STOPPING)
		sandbox_down_when_idle(s);
}

void sandbox_export(struct sandbox *s, loop_fn *done, void *arg)
{
	struct qbx_err err = { 0 };

	s->export.done = done;
	s->export.arg = arg;
	s->export.begun = io_now_us();
	s->helpers++;
	if (helper_run(&s->shim->jobs, &fs_export, s->box.doc, on_exported, s, &err) < 0)
		on_exported(s, NULL, &err);
}
