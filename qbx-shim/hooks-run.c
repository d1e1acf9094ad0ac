/* SPDX-License-Identifier: Apache-2.0 */
/* hooks-run.c - the hooks of a specification that are programs of this host: run in order */
#include <errno.h>
#include <string.h>

#include "hooks.h"
#include "io.h"
#include "json.h"
#include "log.h"

/* The next one to run, or NULL: all have. */
static const json_t *current(struct hooks *h)
{
	for (;;) {
		const json_t *hook = json_array_get(h->lists[h->kind], h->at);

		if (hook || h->kind == h->last)
			return hook;
		h->kind++;
		h->at = 0;
	}
}

/* In front of what went wrong with it. Return: -1, always. */
static int name_it(const struct hooks *h, const json_t *hook, struct qbx_err *err)
{
	snprintf(err->stage, sizeof(err->stage), "hook");
	return err_wrap(err, "%s[%zu] %s", hooks_name(h->kind), h->at,
			json_string_value(json_object_get(hook, "path")));
}

/* The number of seconds that it may run, if it says so itself. */
static unsigned timeout_of(const json_t *hook)
{
	const json_t *timeout = json_object_get(hook, "timeout");

	return timeout ? (unsigned)json_integer_value(timeout) : HOOK_TIMEOUT_S;
}

/* ---- its start ---- */

/* Its process is written down before it does anything. */
static int on_born(void *arg, pid_t pid, struct qbx_err *err)
{
	struct hooks *h = arg;
	struct proc_id id;

	if (proc_identify(pid, &id) < 0)
		return err_sys(err, errno, "identify process %d", (int)pid);
	if (hooks_save(h, &id, err) == 0)
		return 0;
	if (h->kind != HOOK_POSTSTOP)
		return -1;
	log_warn("%s", err->msg); /* what is to be undone is, even so */
	err_forget(err);
	return 0;
}

/* Return: 0, or -1: there is none left. */
static int time_of(const struct hooks *h, const json_t *hook, unsigned *ms)
{
	unsigned long long now = io_now_us();

	*ms = timeout_of(hook) * 1000;
	if (!h->end_us)
		return 0;
	if (h->end_us <= now)
		return -1;
	if (*ms > (h->end_us - now) / 1000)
		*ms = (unsigned)((h->end_us - now) / 1000);
	return 0;
}

static void on_ended(void *arg, struct job_end *end);

static int start(struct hooks *h, const json_t *hook, struct qbx_err *err)
{
	_cleanup_free_ const char **args = json_strv(json_object_get(hook, "args"), "args", err);
	_cleanup_free_ const char **env = json_strv(json_object_get(hook, "env"), "env", err);
	_cleanup_free_ char *state = hooks_state(h);
	const char *path = json_string_value(json_object_get(hook, "path"));
	const char *alone[] = { path, NULL };
	struct job_spec spec = {
		.proc = { .program = path,
			  .argv = args && args[0] ? args : alone,
			  .envp = env,
			  .cwd = h->bundle,
			  .born = on_born,
			  .born_arg = h },
		.input = state,
	};

	if (!args || !env)
		return -1;
	if (!state)
		return err_sys(err, ENOMEM, "start");
	if (time_of(h, hook, &spec.timeout_ms) < 0)
		return err_code(err, EX_TEMPFAIL, "there is no time left for it");
	h->job = job_start(h->jobs, &spec, on_ended, h, err);
	return h->job ? 0 : -1;
}

/*
 * Start the next one that can be started. Return: 0; 1: there is none any more; or -1 with @err: it
 * could not be started, and that matters.
 */
static int step(struct hooks *h, struct qbx_err *err)
{
	const json_t *hook;

	for (; (hook = current(h)); h->at++) {
		if (h->kind == HOOK_POSTSTOP)
			h->next = h->at;
		if (start(h, hook, err) == 0)
			return 0;
		name_it(h, hook, err);
		if (h->kind != HOOK_POSTSTOP)
			return -1;
		log_warn("%s", err->msg);
		err_forget(err);
	}
	if (h->last != HOOK_POSTSTOP)
		return 1;
	if (unlink(h->path) < 0 && errno != ENOENT)
		log_warn("remove %s: %s", h->path, strerror(errno));
	h->recorded = false;
	return 1;
}

/* ---- its end ---- */

/* Return: 0 if it did what it was for, or -1 with @err. */
static int outcome(const struct hooks *h, const json_t *hook, struct job_end *end,
		   struct qbx_err *err)
{
	const char *words;

	if (end->status == 0 && !end->late) {
		job_log_remarks(end->err);
		return 0;
	}
	words = err_clean(job_last_line(end->err));
	if (end->late)
		err_code(err, EX_TEMPFAIL, "killed when its time was up");
	else if (end->status > 128)
		err_code(err, EX_UNAVAILABLE, "ended by signal %d", end->status - 128);
	else
		err_code(err, EX_UNAVAILABLE, "ended with status %d", end->status);
	if (words[0]) {
		struct qbx_err said = *err;

		err_code(err, said.code, "%s: %s", said.msg, words);
	}
	return name_it(h, hook, err);
}

static void on_ended(void *arg, struct job_end *end)
{
	struct hooks *h = arg;
	struct qbx_err err = { .stage = "hook" };
	const json_t *hook = current(h);
	int failed, rc;

	h->job = NULL;
	failed = outcome(h, hook, end, &err);
	if (failed && h->kind == HOOK_POSTSTOP && !h->stopped) {
		log_warn("%s", err.msg);
		err_forget(&err);
		failed = 0;
	}
	if (!failed && h->stopped)
		err_code(&err, EX_TEMPFAIL, "stopped");
	if (failed || h->stopped) {
		h->done(h->arg, &err);
		return;
	}
	h->at++;
	rc = step(h, &err);
	if (rc != 0)
		h->done(h->arg, rc < 0 ? &err : NULL);
}

/* ---- the whole ---- */

static bool has_any(const struct hooks *h)
{
	return h->state != NULL;
}

int hooks_run(struct hooks *h, enum hook_kind first, enum hook_kind last, pid_t pid,
	      hooks_done_fn *done, void *arg, struct qbx_err *err)
{
	if (!has_any(h) || (first == HOOK_POSTSTOP && !h->recorded))
		return 1;
	h->kind = first;
	h->last = last;
	h->at = first == HOOK_POSTSTOP ? h->next : 0;
	h->pid = pid;
	h->stopped = false;
	h->done = done;
	h->arg = arg;
	if (first == HOOK_PRESTART && hooks_save(h, NULL, err) < 0)
		return -1;
	h->recorded = true;
	return step(h, err);
}

void hooks_stop(struct hooks *h)
{
	if (!h->job)
		return;
	h->stopped = true;
	job_kill(h->job);
}
