/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - one way to report failure */
#include "err.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

static int exit_status_of(int sys)
{
	switch (sys) {
	case EPERM:
	case EACCES:
		return EX_NOPERM;
	case EAGAIN:
	case EBUSY:
	case ETIMEDOUT:
	case ENOSPC:
		return EX_TEMPFAIL;
	default:
		return EX_UNAVAILABLE;
	}
}

int err_sys(struct qbx_err *err, int sys, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", strerror(sys));
	err->sys = sys;
	err->code = exit_status_of(sys);
	return -1;
}

int err_code(struct qbx_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->sys = 0;
	err->code = code;
	return -1;
}

int err_wrap(struct qbx_err *err, const char *fmt, ...)
{
	char tail[sizeof(err->msg)];
	va_list ap;
	int n;

	memcpy(tail, err->msg, sizeof(tail));
	va_start(ap, fmt);
	n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", tail);
	return -1;
}

int err_hint(struct qbx_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

char *err_clean(char *text)
{
	size_t len = strlen(text);

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	while (len > 0 && text[len - 1] == ' ')
		text[--len] = '\0';
	return text;
}

void err_forget(struct qbx_err *err)
{
	err->code = err->sys = 0;
	err->msg[0] = err->hint[0] = '\0';
}

_Static_assert(sizeof(struct qbx_err) + sizeof(":  ()") < ERR_TEXT_MAX, "no text is cut");

char *err_text(const struct qbx_err *err, char text[ERR_TEXT_MAX])
{
	struct qbx_err e = *err;

	err_clean(e.msg);
	err_clean(e.hint);
	snprintf(text, ERR_TEXT_MAX, "%s%s%s%s%s%s", e.stage, e.stage[0] ? ": " : "", e.msg,
		 e.hint[0] ? " (" : "", e.hint, e.hint[0] ? ")" : "");
	return text;
}

static void print_json(const struct qbx_err *err, FILE *out)
{
	struct qbx_err e = *err;
	json_auto_t *j = json_pack("{s:{s:s, s:i, s:i, s:s, s:s}}", "error", "stage", e.stage, "code",
				   e.code, "errno", e.sys, "message", err_clean(e.msg), "hint",
				   err_clean(e.hint));

	if (!j || json_dumpf(j, out, JSON_COMPACT) < 0)
		fprintf(out, "{\"error\":{\"code\":%d}}", err->code);
	fputc('\n', out);
}

void err_print(const struct qbx_err *err, FILE *out, int json)
{
	char text[ERR_TEXT_MAX];

	if (json)
		print_json(err, out);
	else
		fprintf(out, "%s\n", err_text(err, text));
}
