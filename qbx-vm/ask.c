/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - one question to the guest's own service, answered before this returns */
#include "guest.h"
#include "resize.h"

struct question {
	struct loop *loop;
	struct ttrpc_conn *conn;
	const char *method;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *reply;
	unsigned timeout_ms;
	ask_fn *take;
	void *arg;
	int ret;
	struct qbx_err *err;
};

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct question *q = arg;

	if (code == TTRPC_CANCELLED)
		return;
	if (code == TTRPC_OK)
		q->ret = q->take(q->arg, reply, q->err);
	else
		err_code(q->err, EX_UNAVAILABLE, "%s in the guest: %s", q->method, message);
	loop_stop(q->loop);
}

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct question *q = arg;

	(void)conn;
	q->conn = NULL; /* on_answer() has heard of it */
}

static void on_dialled(void *arg, int fd, const struct qbx_err *err)
{
	struct question *q = arg;

	if (fd < 0)
		*q->err = *err;
	else
		q->conn = ttrpc_new(q->loop, fd, NULL, NULL, on_closed, q, q->err);
	if (q->conn)
		ttrpc_request(q->conn, GUEST_SERVICE, q->method, q->request, q->timeout_ms,
			      q->reply, on_answer, q);
	else
		loop_stop(q->loop);
}

int ask_guest(const struct config *cfg, const struct box *box, const char *method,
	      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
	      unsigned timeout_ms, ask_fn *take, void *arg, struct qbx_err *err)
{
	struct question q = { .loop = loop_new(err),
			      .method = method,
			      .request = request,
			      .reply = reply,
			      .timeout_ms = timeout_ms,
			      .take = take,
			      .arg = arg,
			      .ret = -1,
			      .err = err };
	struct guest g = { .dirfd = -1 };

	if (q.loop && guest_open(&g, cfg, box, err) == 0 &&
	    guest_dial(q.loop, &g, GUEST_PORT_CONTROL, 0, timeout_ms, on_dialled, &q, err) &&
	    loop_run(q.loop, err) < 0)
		q.ret = -1;
	ttrpc_free(take_ptr(q.conn));
	guest_close(&g);
	loop_free(q.loop);
	return q.ret;
}
