/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - qbx-vm events: what QEMU tells of a VM, one JSON object a line, until it ends */
#include <errno.h>

#include "json.h"
#include "qmp.h"
#include "verbs.h"
#include "vm.h"

struct listener {
	struct loop *loop;
	struct qmp *qmp;
	struct qbx_err err;
};

static void on_event(void *arg, const char *name, json_t *event)
{
	struct listener *l = arg;

	(void)name;
	if (json_write_fd(STDOUT_FILENO, event, "standard output", &l->err) < 0)
		loop_stop(l->loop);
}

/* The end of the VM is the end of the events, and no failure; what is said against the rules is. */
static void on_closed(void *arg, const struct qbx_err *why)
{
	struct listener *l = arg;

	l->qmp = NULL;
	if (!l->err.code && why->sys != ECONNRESET)
		l->err = *why;
	loop_stop(l->loop);
}

/* QEMU takes one listener at a time, and lets a second one wait. */
static void on_answer(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct listener *l = arg;

	(void)ret;
	if (!err || err->sys == ECONNRESET)
		return;
	l->err = *err;
	if (err->sys == ETIMEDOUT) {
		err_sys(&l->err, EBUSY, "QEMU does not answer on " VM_FILE_EVENTS);
		err_hint(&l->err, "it takes one listener at a time: is there another one?");
	}
	loop_stop(l->loop);
}

static int listen_to(struct listener *l, int fd, struct qbx_err *err)
{
	l->qmp = qmp_new(l->loop, fd, on_event, on_closed, l, err);
	if (!l->qmp ||
	    qmp_request(l->qmp, "query-status", NULL, VM_QUIT_MS, on_answer, l, err) < 0 ||
	    loop_run(l->loop, err) < 0)
		return -1;
	*err = l->err;
	return err->code ? -1 : 0;
}

static int events(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_close_ int dirfd = -1;
	struct listener l = { 0 };
	int fd, ret;

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	dirfd = halt_open(&cli->cfg, &box, err);
	if (dirfd < 0)
		return err_wrap(err, "box %s", box.key);
	fd = qmp_connect(dirfd, VM_FILE_EVENTS);
	if (fd < 0)
		return err_sys(err, errno, "box %s: connect to " VM_FILE_EVENTS, box.key);
	l.loop = loop_new(err);
	if (!l.loop)
		close(fd);
	ret = l.loop ? listen_to(&l, fd, err) : -1;
	qmp_free(l.qmp);
	loop_free(l.loop);
	return ret < 0 ? err_wrap(err, "box %s", box.key) : 0;
}

const struct cli_verb verb_events = {
	.name = "events",
	.help = "print what QEMU tells of the box's VM, one JSON object a line, until it ends",
	.run = events,
};
