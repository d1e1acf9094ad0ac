/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - run another command of the toolkit in the loop */
#include "helper.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "json.h"
#include "log.h"

struct helper {
	char program[24];
	helper_done_fn *done;
	void *arg;
};

const char *helper_path(const char *program, char *path)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return program;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash + 1 + strlen(program) >= path + PATH_MAX)
		return program;
	memcpy(slash + 1, program, strlen(program) + 1);
	return access(path, X_OK) == 0 ? path : program;
}

/* ---- its end ---- */

static void take_error_object(struct qbx_err *err, const char *program, const json_t *object)
{
	const char *stage = "", *message = "", *hint = "";
	int code = 0, sys = 0;

	json_unpack((json_t *)object, "{s:{s?s, s?i, s?i, s?s, s?s}}", "error", "stage", &stage,
		    "code", &code, "errno", &sys, "message", &message, "hint", &hint);
	snprintf(err->stage, sizeof(err->stage), "%s", stage);
	snprintf(err->msg, sizeof(err->msg), "%s", message);
	snprintf(err->hint, sizeof(err->hint), "%s", hint);
	if (code > 0 && code < 256)
		err->code = code;
	err->sys = sys;
	err_clean(err->msg);
	err_clean(err->hint);
	if (!err_clean(err->stage)[0])
		snprintf(err->stage, sizeof(err->stage), "%s", program);
}

void helper_parse_error(struct qbx_err *err, const char *program, char *text, int status)
{
	char *line = job_last_line(text);
	json_auto_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	memset(err, 0, sizeof(*err));
	snprintf(err->stage, sizeof(err->stage), "%s", program);
	err->code = status > 0 && status < 128 ? status : EX_UNAVAILABLE;
	if (json_is_object(json_object_get(object, "error")))
		take_error_object(err, program, object);
	else
		snprintf(err->msg, sizeof(err->msg), "%s", err_clean(line));
	if (!err->msg[0] && status > 128)
		snprintf(err->msg, sizeof(err->msg), "ended by signal %d", status - 128);
	else if (!err->msg[0])
		snprintf(err->msg, sizeof(err->msg), "ended with status %d and said nothing",
			 status);
}

static json_t *result(const struct helper *h, struct job_end *end, struct qbx_err *err)
{
	char what[64];

	snprintf(err->stage, sizeof(err->stage), "%s", h->program);
	if (end->late) {
		err_sys(err, ETIMEDOUT, "no result");
		return NULL;
	}
	if (end->status != 0) {
		helper_parse_error(err, h->program, end->err, end->status);
		return NULL;
	}
	job_log_remarks(end->err);
	if (end->overflow) {
		err_code(err, EX_DATAERR, "wrote more than %u bytes", JSON_FILE_MAX);
		return NULL;
	}
	snprintf(what, sizeof(what), "output of %s", h->program);
	return json_parse(end->out, end->out_len, what, err);
}

static void on_ended(void *arg, struct job_end *end)
{
	const struct helper *h = arg;
	struct qbx_err err = { 0 };
	json_auto_t *doc = result(h, end, &err);

	h->done(h->arg, doc, doc ? NULL : &err);
}

/* ---- its start ---- */

static int start(struct jobs *all, const struct helper_spec *spec, const char *input,
		 struct helper *h, struct qbx_err *err)
{
	const struct proc_fd fd = { spec->fd, HELPER_FD };
	char path[PATH_MAX];
	const char *argv[] = {
		helper_path(spec->program, path), "--json-errors", spec->verb, NULL, NULL, NULL
	};
	const struct job_spec job = {
		.proc = { .argv = argv,
			  .fds = &fd,
			  .nfds = spec->fd ? 1 : 0,
			  .die_with_us = !spec->outlives_us },
		.input = input,
		.out_max = JSON_FILE_MAX,
		.timeout_ms = spec->timeout_ms,
		.own = h,
	};
	size_t n = 3;

	if (spec->option)
		argv[n++] = spec->option;
	if (all->debug)
		argv[n++] = "--debug";
	return job_start(all, &job, on_ended, h, err) ? 0 : -1;
}

int helper_run(struct jobs *all, const struct helper_spec *spec, const json_t *doc,
	       helper_done_fn *done, void *arg, struct qbx_err *err)
{
	_cleanup_free_ char *input = json_dumps(doc, JSON_COMPACT);
	struct helper *h = malloc(sizeof(*h));

	snprintf(err->stage, sizeof(err->stage), "%s", spec->program);
	if (!input || !h) {
		free(h);
		return err_sys(err, ENOMEM, "start %s", spec->program);
	}
	*h = (struct helper){ .done = done, .arg = arg };
	snprintf(h->program, sizeof(h->program), "%s", spec->program);
	if (start(all, spec, input, h, err) == 0)
		return 0;
	free(h);
	return -1;
}
