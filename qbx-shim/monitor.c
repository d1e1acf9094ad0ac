/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c - what QEMU tells the shim of its VM
 *
 * Source of the events: qapi/run-state.json of QEMU. Others are of no interest here.
 */
#include "monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "qmp.h"

#define COMMAND_MS 5000u

struct monitor {
	struct qmp *qmp; /* NULL when the conversation is over */
	char shutdown[32];
	monitor_fn *fn;
	void *arg;
};

static void on_event(void *arg, const char *name, json_t *event)
{
	struct monitor *m = arg;
	const char *reason =
		json_string_value(json_object_get(json_object_get(event, "data"), "reason"));

	if (!strcmp(name, "SHUTDOWN") && !m->shutdown[0])
		snprintf(m->shutdown, sizeof(m->shutdown), "%s", reason ? reason : "");
	else if (!strcmp(name, "GUEST_PANICKED"))
		snprintf(m->shutdown, sizeof(m->shutdown), "guest-panic");
	else if (!strcmp(name, "STOP"))
		m->fn(m->arg, true, false);
	else if (!strcmp(name, "RESUME"))
		m->fn(m->arg, false, false);
}

static void on_closed(void *arg, const struct qbx_err *why)
{
	struct monitor *m = arg;

	m->qmp = NULL;
	if (why->sys != ECONNRESET)
		log_warn("%s: it is not listened to any more", why->msg);
	m->fn(m->arg, false, true);
}

struct monitor *monitor_new(struct loop *loop, int *theirs, monitor_fn *fn, void *arg,
			    struct qbx_err *err)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int ends[2];

	if (!m || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		err_sys(err, m ? errno : ENOMEM, "make a monitor for QEMU");
		free(m);
		return NULL;
	}
	m->fn = fn;
	m->arg = arg;
	m->qmp = qmp_new(loop, ends[0], on_event, on_closed, m, err);
	if (!m->qmp) {
		close(ends[1]);
		free(m);
		return NULL;
	}
	*theirs = ends[1];
	return m;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	qmp_free(m->qmp);
	free(m);
}

static void on_ignored(void *arg, json_t *ret, const struct qbx_err *err)
{
	(void)arg;
	(void)ret;
	if (err)
		log_warn("%s", err->msg);
}

int monitor_command(struct monitor *m, const char *command, qmp_done_fn *done, void *arg,
		    struct qbx_err *err)
{
	if (!m->qmp)
		return err_code(err, EX_UNAVAILABLE, "QEMU's monitor is closed");
	return qmp_request(m->qmp, command, NULL, COMMAND_MS, done ? done : on_ignored, arg, err);
}

const char *monitor_shutdown(struct monitor *m)
{
	if (m->qmp)
		qmp_drain(m->qmp);
	return m->shutdown;
}
