/* SPDX-License-Identifier: Apache-2.0 */
/*
 * end.c - what ended a VM
 *
 * Source of QMP's words: qapi/run-state.json of QEMU, ShutdownCause. A machine without ACPI ends by
 * a reset whether the guest powers off, panics or faults three times over: only its console tells
 * these apart, and Linux says the first two there at its loudest level.
 */
#include "end.h"

#include <signal.h>
#include <string.h>

#include "console.h"
#include "tail.h"

#define LINE_MAX_BYTES 240u

static const char *const names[] = {
	[END_UNKNOWN] = "unknown", [END_POWEROFF] = "poweroff", [END_PANIC] = "panic",
	[END_RESET] = "reset",	   [END_HANG] = "hang",		[END_CRASH] = "crash",
	[END_KILLED] = "killed",   [END_QUIT] = "quit",		[END_FAILED] = "failed",
	[END_LOST] = "lost",	   [END_VOLUMES] = "volumes",
};

const char *end_name(enum end_reason reason)
{
	return names[reason];
}

static enum end_reason by_signal(int signal)
{
	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGTRAP:
	case SIGSYS: /* its sandbox */
		return END_CRASH;
	default:
		return END_KILLED;
	}
}

static enum end_reason by_console(const char *console)
{
	if (strstr(console, "Kernel panic"))
		return END_PANIC;
	if (strstr(console, "reboot: Power down") || strstr(console, "reboot: Restarting system") ||
	    strstr(console, "reboot: System halted"))
		return END_POWEROFF;
	return END_RESET;
}

void end_judge(struct end *e)
{
	if (e->status > 128)
		e->reason = by_signal(e->status - 128);
	else if (e->status > 0)
		e->reason = END_FAILED;
	else if (!strncmp(e->shutdown, "host-", 5))
		e->reason = END_QUIT;
	else if (!strcmp(e->shutdown, "guest-panic"))
		e->reason = END_PANIC;
	else if (!strcmp(e->shutdown, "guest-shutdown"))
		e->reason = END_POWEROFF;
	else if (e->status == 0 || e->shutdown[0])
		e->reason = by_console(e->console);
	else
		e->reason = END_UNKNOWN;
}

/* What a guest or a QEMU that it has broken into says: no control characters, and only ASCII. */
static char *plain(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return err_clean(text);
}

void end_look(struct end *e, int dirfd, int status, const char *shutdown)
{
	memset(e, 0, sizeof(*e));
	e->status = status;
	snprintf(e->shutdown, sizeof(e->shutdown), "%s", shutdown);
	plain(e->shutdown);
	tail_line(dirfd, "qemu.log", e->said, sizeof(e->said));
	if (strstr(plain(e->said), ": warning: "))
		e->said[0] = '\0'; /* QEMU says why it ends last: so that was nothing */
	tail_line(dirfd, "virtiofsd.log", e->virtiofsd, sizeof(e->virtiofsd));
	plain(e->virtiofsd);
	console_tail(dirfd, e->console, sizeof(e->console));
	end_judge(e);
}

/* The line that starts at @line, cleaned. */
static void copy_line(const char *line, char *buf, size_t size)
{
	size_t len = strcspn(line, "\n");

	snprintf(buf, size, "%.*s", (int)(len < size ? len : size - 1), line);
	plain(buf);
}

/* The line that says the most: the panic, else the last one with text. */
static void last_words(const struct end *e, char *buf, size_t size)
{
	const char *panic = strstr(e->console, "Kernel panic");

	buf[0] = '\0';
	if (panic) {
		copy_line(panic, buf, size);
		return;
	}
	for (size_t len = strlen(e->console); len > 0 && !buf[0];) {
		while (len > 0 && e->console[len - 1] == '\n')
			len--;
		while (len > 0 && e->console[len - 1] != '\n')
			len--;
		copy_line(e->console + len, buf, size);
	}
}

static void say_signal(const struct end *e, struct qbx_err *err)
{
	const char *name = sigabbrev_np(e->status - 128);

	err_code(err, EX_UNAVAILABLE, "QEMU was ended by signal %d (SIG%s)%s%s", e->status - 128,
		 name ? name : "?", e->said[0] ? ": " : "", e->said);
}

int end_say(const struct end *e, struct qbx_err *err)
{
	char words[LINE_MAX_BYTES];

	switch (e->reason) {
	case END_POWEROFF:
		err_code(err, EX_UNAVAILABLE, "the guest powered off");
		break;
	case END_PANIC:
		err_code(err, EX_UNAVAILABLE, "the guest's kernel panicked");
		break;
	case END_RESET:
		err_code(err, EX_UNAVAILABLE, "the guest was reset, as by a triple fault");
		break;
	case END_HANG:
		err_code(err, EX_UNAVAILABLE, "the guest's kernel hung, and was ended");
		break;
	case END_CRASH:
	case END_KILLED:
		say_signal(e, err);
		break;
	case END_QUIT:
		err_code(err, EX_UNAVAILABLE, "QEMU was asked to end (%s)", e->shutdown);
		break;
	case END_FAILED:
		err_code(err, EX_UNAVAILABLE, "QEMU failed with status %d%s%s", e->status,
			 e->said[0] ? ": " : "", e->said);
		break;
	case END_VOLUMES:
		err_code(err, EX_UNAVAILABLE, "virtiofsd, which has the volumes, ended%s%s",
			 e->virtiofsd[0] ? ": " : "", e->virtiofsd);
		break;
	case END_LOST:
		err_code(err, EX_UNAVAILABLE, "the guest cannot be reached any more");
		break;
	case END_UNKNOWN:
		err_code(err, EX_UNAVAILABLE, "QEMU ended, and it is not known how%s%s",
			 e->said[0] ? ": " : "", e->said);
		break;
	}
	last_words(e, words, sizeof(words));
	if (words[0])
		err_hint(err, "the guest's last words: %.200s", words);
	return -1;
}

/* The last lines of the console, cleaned, as an array of strings. */
static json_t *console_lines(const char *console)
{
	json_t *lines = json_array();

	for (const char *p = console; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		char line[LINE_MAX_BYTES];

		copy_line(p, line, sizeof(line));
		if (line[0])
			json_array_append_new(lines, json_string(line));
		if (json_array_size(lines) > END_LINES_MAX)
			json_array_remove(lines, 0);
	}
	return lines;
}

json_t *end_to_json(const struct end *e)
{
	struct qbx_err err = { 0 };
	json_t *j;

	end_say(e, &err);
	j = json_pack("{s:s, s:s}", "reason", end_name(e->reason), "message", err.msg);
	if (e->status > 128)
		json_object_set_new(j, "signal", json_integer(e->status - 128));
	else if (e->status > 0)
		json_object_set_new(j, "status", json_integer(e->status));
	json_object_set_new(j, "console", console_lines(e->console));
	return j;
}
