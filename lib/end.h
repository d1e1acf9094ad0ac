/* SPDX-License-Identifier: Apache-2.0 */
/* end.h - what ended a VM, by all that is left to see: the "end" object of qbx-json(7) */
#ifndef QBX_END_H
#define QBX_END_H

#include <jansson.h>

#include "err.h"

enum end_reason {
	END_UNKNOWN,
	END_POWEROFF, /* the guest shut down or rebooted by itself */
	END_PANIC,    /* its kernel panicked */
	END_RESET,    /* its CPU was reset, as by a triple fault */
	END_HANG,     /* it did not answer any more, and was ended for it */
	END_CRASH,    /* QEMU, by a signal of its own making */
	END_KILLED,   /* QEMU, by somebody's signal */
	END_QUIT,     /* QEMU was asked to end */
	END_FAILED,   /* QEMU gave up */
	END_VOLUMES,  /* QEMU runs, but virtiofsd, which the guest has volumes from, has ended */
	END_LOST,     /* QEMU runs, but there is no way to the guest any more */
};

#define END_CONSOLE_MAX 8192u /* bytes of the console that are looked at */
#define END_LINES_MAX 20u     /* of it that are kept */

/* What is left to see. */
struct end {
	enum end_reason reason;	       /* set by end_judge(), or by who knows better */
	int status;		       /* QEMU's, as proc_exit_status() gives it; -1: not known */
	char shutdown[32];	       /* the reason in QMP's SHUTDOWN, or "" */
	char said[300];		       /* QEMU's last words */
	char virtiofsd[300];	       /* virtiofsd's, where there is one */
	char console[END_CONSOLE_MAX]; /* the guest's */
};

/** end_look() - set status and shutdown as told, read the rest in the box's directory, and judge. */
void end_look(struct end *e, int dirfd, int status, const char *shutdown);

/** end_judge() - e->reason, from the others. A guest may lie in its console, but only of itself. */
void end_judge(struct end *e);

/** end_name() - "panic", "crash", … */
const char *end_name(enum end_reason reason);

/** end_say() - what ended it, as an error with the guest's last words as its hint. Return: -1. */
int end_say(const struct end *e, struct qbx_err *err);

/** end_to_json() - {"reason", "message", "signal"?, "status"?, "console"}; new reference. */
json_t *end_to_json(const struct end *e);

#endif
