/* SPDX-License-Identifier: Apache-2.0 */
/* qmp.c - one question to QEMU's monitor */
#include "qmp.h"

#include <errno.h>

#include "vm.h"

struct question {
	struct loop *loop;
	struct qmp *qmp;
	json_t *answer;
	struct qbx_err *err;
};

static void on_answer(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct question *q = arg;

	if (err)
		*q->err = *err;
	else
		q->answer = json_incref(ret);
	loop_stop(q->loop);
}

static void on_closed(void *arg, const struct qbx_err *why)
{
	struct question *q = arg;

	(void)why; /* on_answer() has heard it */
	q->qmp = NULL;
}

json_t *qmp_execute(int dirfd, const char *command, unsigned timeout_ms, struct qbx_err *err)
{
	struct question q = { .err = err };
	int fd = qmp_connect(dirfd, VM_FILE_QMP);

	if (fd < 0) {
		err_sys(err, errno, "connect to QEMU's monitor");
		return NULL;
	}
	q.loop = loop_new(err);
	if (!q.loop) {
		close(fd);
		return NULL;
	}
	q.qmp = qmp_new(q.loop, fd, NULL, on_closed, &q, err);
	if (q.qmp && qmp_request(q.qmp, command, timeout_ms, on_answer, &q, err) == 0 &&
	    loop_run(q.loop, err) < 0) {
		json_decref(q.answer);
		q.answer = NULL;
	}
	qmp_free(q.qmp);
	loop_free(q.loop);
	return q.answer;
}
