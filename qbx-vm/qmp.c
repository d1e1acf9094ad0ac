/* SPDX-License-Identifier: Apache-2.0 */
/* qmp.c - questions to QEMU's monitor, and events between them, each awaited */
#include "qmp.h"

#include <errno.h>

#include "vm.h"

#define ANSWER_MS 5000u

struct talk {
	struct loop *loop;
	struct qmp *qmp;    /* NULL when the conversation is over */
	struct qbx_err why; /* it is, or there is no answer, or no event */
	json_t *answer;
	talk_is_fn *is;
	void *arg;
	bool seen;	     /* what is expected */
	bool awaiting;	     /* it, and no answer */
	struct watch *timer; /* of that */
};

static void on_answer(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct talk *t = arg;

	if (err)
		t->why = *err;
	else
		t->answer = json_incref(ret);
	loop_stop(t->loop);
}

static void on_event(void *arg, const char *name, json_t *event)
{
	struct talk *t = arg;

	if (!t->is || !t->is(t->arg, name, json_object_get(event, "data")))
		return;
	t->seen = true;
	if (t->awaiting)
		loop_stop(t->loop);
}

static void on_closed(void *arg, const struct qbx_err *why)
{
	struct talk *t = arg;

	t->qmp = NULL;
	t->why = *why;
	loop_stop(t->loop);
}

static void on_late(void *arg)
{
	struct talk *t = arg;

	t->timer = NULL;
	err_sys(&t->why, ETIMEDOUT, "QEMU's monitor");
	loop_stop(t->loop);
}

struct talk *talk_begin(int dirfd, struct qbx_err *err)
{
	int fd = qmp_connect(dirfd, VM_FILE_QMP);
	struct talk *t;

	if (fd < 0) {
		err_sys(err, errno, "connect to QEMU's monitor");
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		err_sys(err, ENOMEM, "QEMU's monitor");
	else
		t->loop = loop_new(err);
	if (!t || !t->loop) {
		close(fd);
		free(t);
		return NULL;
	}
	t->qmp = qmp_new(t->loop, fd, on_event, on_closed, t, err);
	if (t->qmp)
		return t;
	talk_end(t);
	return NULL;
}

void talk_end(struct talk *t)
{
	if (!t)
		return;
	qmp_free(t->qmp);
	loop_free(t->loop);
	json_decref(t->answer);
	free(t);
}

static json_t *ask(struct talk *t, const char *command, json_t *arguments, unsigned timeout_ms,
		   struct qbx_err *err)
{
	if (!t->qmp) {
		json_decref(arguments);
		*err = t->why;
		return NULL;
	}
	if (qmp_request(t->qmp, command, arguments, timeout_ms, on_answer, t, err) < 0 ||
	    loop_run(t->loop, err) < 0)
		return NULL;
	if (!t->answer)
		*err = t->why;
	return take_ptr(t->answer);
}

json_t *talk_ask(struct talk *t, const char *command, json_t *arguments, struct qbx_err *err)
{
	return ask(t, command, arguments, ANSWER_MS, err);
}

void talk_expect(struct talk *t, talk_is_fn *is, void *arg)
{
	t->is = is;
	t->arg = arg;
	t->seen = false;
}

/* Until it is seen, the conversation is over, or it is late. */
static int await(struct talk *t, unsigned timeout_ms, struct qbx_err *err)
{
	int ret;

	t->timer = loop_add_timer(t->loop, timeout_ms, on_late, t, err);
	if (!t->timer)
		return -1;
	t->awaiting = true;
	ret = loop_run(t->loop, err);
	t->awaiting = false;
	loop_remove(take_ptr(t->timer));
	return ret;
}

int talk_await(struct talk *t, unsigned timeout_ms, struct qbx_err *err)
{
	int ret = t->seen || !t->qmp ? 0 : await(t, timeout_ms, err);

	t->is = NULL; /* and its argument may be gone */
	if (ret < 0 || t->seen)
		return ret;
	*err = t->why;
	return -1;
}

json_t *qmp_execute(int dirfd, const char *command, unsigned timeout_ms, struct qbx_err *err)
{
	struct talk *t = talk_begin(dirfd, err);
	json_t *answer = t ? ask(t, command, NULL, timeout_ms, err) : NULL;

	talk_end(t);
	return answer;
}
