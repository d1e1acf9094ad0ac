/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc-client.c - requests of ours, and what comes of them
 *
 * A struct pending is one that waits for the peer; it never outlives the connection.
 */
#include <stdlib.h>
#include <string.h>

#include "ttrpc-conn.h"
#include "ttrpc.pb-c.h"

struct pending {
	struct ttrpc_conn *conn;
	struct pending *next;
	uint32_t stream;
	const ProtobufCMessageDescriptor *reply;
	ttrpc_done_fn *done;
	void *arg;
	struct watch *timer;
	enum ttrpc_code early; /* failed before it was sent: told from the loop */
};

static void finish_pending(struct pending *p, enum ttrpc_code code, const ProtobufCMessage *reply,
			   const char *message)
{
	struct pending **at = &p->conn->pending;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_remove(p->timer);
	if (p->done)
		p->done(p->arg, code, reply, message);
	free(p);
}

static void on_timeout(void *arg)
{
	struct pending *p = arg;
	struct ttrpc_conn *c = p->conn;
	enum ttrpc_code code = p->early ? p->early : TTRPC_DEADLINE_EXCEEDED;

	p->timer = NULL;
	ttrpc_enter(c);
	finish_pending(p, code, NULL,
		       p->early ? "the request could not be sent" : "no answer in time");
	ttrpc_leave(c);
}

void ttrpc_request(struct ttrpc_conn *conn, const char *service, const char *method,
		   const ProtobufCMessage *request, unsigned timeout_ms,
		   const ProtobufCMessageDescriptor *reply, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Ttrpc__Request r = QEMUBOX__TTRPC__REQUEST__INIT;
	struct pending *p = calloc(1, sizeof(*p));
	_cleanup_free_ uint8_t *payload = NULL;
	struct qbx_err err = { 0 };

	r.service = (char *)service;
	r.method = (char *)method;
	r.timeout_nano = (int64_t)timeout_ms * 1000000;
	r.payload.len = protobuf_c_message_get_packed_size(request);
	payload = malloc(r.payload.len + 1);
	if (!p || !payload)
		BUG("out of memory for a request"); /* there is no way to tell the caller later */
	protobuf_c_message_pack(request, payload);
	r.payload.data = payload;

	p->conn = conn;
	p->stream = conn->next_stream;
	conn->next_stream += 2;
	p->reply = reply;
	p->done = done;
	p->arg = arg;
	p->next = conn->pending;
	conn->pending = p;
	if (conn->dead || ttrpc_queue(conn, TTRPC_TYPE_REQUEST, p->stream, &r.base) < 0)
		p->early = conn->dead ? TTRPC_UNAVAILABLE : TTRPC_RESOURCE_EXHAUSTED;
	if (p->early || timeout_ms) {
		p->timer =
			loop_add_timer(conn->loop, p->early ? 0 : timeout_ms, on_timeout, p, &err);
		if (!p->timer)
			BUG(err.msg);
	}
	/* Written from the loop, so that no callback can run before the caller has its bearings. */
	if (!p->early)
		loop_set_events(conn->watch, EPOLLIN | EPOLLOUT);
}

void ttrpc_client_take(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
{
	struct pending *p = c->pending;
	Qemubox__Ttrpc__Response *r;

	while (p && p->stream != h->stream)
		p = p->next;
	if (!p)
		return; /* its deadline has passed */
	r = qemubox__ttrpc__response__unpack(NULL, h->len, data);
	if (!r) {
		finish_pending(p, TTRPC_INTERNAL, NULL, "the response does not parse");
		return;
	}
	if (r->status && r->status->code != TTRPC_OK) {
		finish_pending(p, (enum ttrpc_code)r->status->code, NULL,
			       err_clean(r->status->message));
	} else {
		ProtobufCMessage *m =
			protobuf_c_message_unpack(p->reply, NULL, r->payload.len, r->payload.data);

		finish_pending(p, m ? TTRPC_OK : TTRPC_INTERNAL, m,
			       m ? "" : "the reply does not parse");
		if (m)
			protobuf_c_message_free_unpacked(m, NULL);
	}
	qemubox__ttrpc__response__free_unpacked(r, NULL);
}

void ttrpc_client_fail(struct ttrpc_conn *c, enum ttrpc_code code, const char *why)
{
	while (c->pending)
		finish_pending(c->pending, code, NULL, why);
}
