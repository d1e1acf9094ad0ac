/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_qmp.c - what a QEMU that the guest has broken into may say: a line, and a whole conversation */
#include "fuzz.h"

#include "lib/qmp.c"

static void on_event(void *arg, const char *name, json_t *event)
{
	(void)arg;
	if (!name || !json_is_object(event))
		abort();
}

static void on_closed(void *arg, const struct qbx_err *why)
{
	struct qmp **q = arg;

	if (!why->code)
		abort();
	*q = NULL;
}

static void on_answer(void *arg, json_t *ret, const struct qbx_err *err)
{
	(void)arg;
	if (!ret == !err)
		abort();
}

static void line(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	enum qmp_kind kind = QMP_EVENT;
	json_t *body;
	int ret = qmp_decode((const char *)data, size, &kind, &body, &err);

	if ((ret < 0) != (err.code != 0) || !body != (ret < 0 || kind == QMP_GREETING))
		abort();
	json_decref(body);
}

static void conversation(struct loop *loop, const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct qmp *q = NULL;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		abort();
	q = qmp_new(loop, ends[0], on_event, on_closed, &q, &err);
	if (!q || qmp_request(q, "query-status", NULL, 0, on_answer, NULL, &err) < 0)
		abort();
	if (send(ends[1], data, size, MSG_NOSIGNAL) < 0 && size > 0 && errno != EAGAIN)
		abort();
	close(ends[1]);
	qmp_drain(q);
	qmp_free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);

	if (!loop)
		abort();
	line(data, size);
	conversation(loop, data, size);
	loop_free(loop);
	return 0;
}
