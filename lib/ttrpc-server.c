/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc-server.c - requests of the peer, and their answers
 *
 * A struct ttrpc_call is one that waits for its answer. It is on conn->calls, and outlives the
 * connection: it then answers into nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ttrpc-conn.h"
#include "ttrpc.pb-c.h"

#define CALLS_MAX 4096u /* requests of one peer that wait for an answer */

struct ttrpc_call {
	struct ttrpc_conn *conn; /* NULL once it has gone */
	struct ttrpc_call *prev, *next;
	uint32_t stream;
};

void ttrpc_respond(struct ttrpc_conn *c, uint32_t stream, enum ttrpc_code code, const char *message,
		   const ProtobufCMessage *reply)
{
	Qemubox__Ttrpc__Response r = QEMUBOX__TTRPC__RESPONSE__INIT;
	Qemubox__Ttrpc__Status st = QEMUBOX__TTRPC__STATUS__INIT;
	_cleanup_free_ uint8_t *payload = NULL;

	if (reply) {
		r.payload.len = protobuf_c_message_get_packed_size(reply);
		payload = malloc(r.payload.len + 1);
		if (!payload) {
			code = TTRPC_RESOURCE_EXHAUSTED;
			message = "out of memory";
			r.payload.len = 0;
		} else {
			protobuf_c_message_pack(reply, payload);
			r.payload.data = payload;
		}
	}
	if (code != TTRPC_OK) {
		st.code = (int32_t)code;
		st.message = (char *)message;
		r.status = &st;
	}
	if (ttrpc_queue(c, TTRPC_TYPE_RESPONSE, stream, &r.base) < 0 && reply) {
		ttrpc_respond(c, stream, TTRPC_RESOURCE_EXHAUSTED, "the reply is too large", NULL);
		return;
	}
	ttrpc_push(c);
}

static void call_free(struct ttrpc_call *call)
{
	if (call->conn) {
		if (call->prev)
			call->prev->next = call->next;
		else
			call->conn->calls = call->next;
		if (call->next)
			call->next->prev = call->prev;
		call->conn->ncalls--;
	}
	free(call);
}

struct ttrpc_conn *ttrpc_call_conn(const struct ttrpc_call *call)
{
	return call->conn;
}

void ttrpc_reply(struct ttrpc_call *call, const ProtobufCMessage *reply)
{
	struct ttrpc_conn *c = call->conn;
	uint32_t stream = call->stream;

	call_free(call);
	if (c)
		ttrpc_respond(c, stream, TTRPC_OK, NULL, reply);
}

void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt, ...)
{
	struct ttrpc_conn *c = call->conn;
	uint32_t stream = call->stream;
	char message[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	call_free(call);
	if (c)
		ttrpc_respond(c, stream, code, message, NULL);
}

void ttrpc_fail_err(struct ttrpc_call *call, const struct qbx_err *err)
{
	if (err->hint[0])
		ttrpc_fail(call, ttrpc_code_of(err), "%s (%s)", err->msg, err->hint);
	else
		ttrpc_fail(call, ttrpc_code_of(err), "%s", err->msg);
}

enum ttrpc_code ttrpc_code_of(const struct qbx_err *err)
{
	switch (err->sys) {
	case ENOENT:
	case ESRCH:
		return TTRPC_NOT_FOUND;
	case EEXIST:
		return TTRPC_ALREADY_EXISTS;
	case EINVAL:
		return TTRPC_INVALID_ARGUMENT;
	case ETIMEDOUT:
		return TTRPC_DEADLINE_EXCEEDED;
	case EPERM:
	case EACCES:
		return TTRPC_PERMISSION_DENIED;
	default:
		break;
	}
	switch (err->code) {
	case EX_USAGE:
	case EX_DATAERR:
		return TTRPC_INVALID_ARGUMENT;
	case EX_NOPERM:
		return TTRPC_PERMISSION_DENIED;
	case EX_CONFIG:
		return TTRPC_FAILED_PRECONDITION;
	default:
		return TTRPC_UNKNOWN;
	}
}

static const struct ttrpc_method *find_method(const struct ttrpc_conn *c, const char *service,
					      const char *name)
{
	for (const struct ttrpc_method *m = c->methods; m && m->service; m++)
		if (!strcmp(m->service, service) && !strcmp(m->name, name))
			return m;
	return NULL;
}

static void serve(struct ttrpc_conn *c, uint32_t stream, const Qemubox__Ttrpc__Request *r)
{
	const struct ttrpc_method *m = find_method(c, r->service, r->method);
	ProtobufCMessage *request;
	struct ttrpc_call *call;
	char text[200];

	if (!m) {
		snprintf(text, sizeof(text), "%.80s/%.80s is not implemented", r->service,
			 r->method);
		ttrpc_respond(c, stream, TTRPC_UNIMPLEMENTED, err_clean(text), NULL);
		return;
	}
	request = protobuf_c_message_unpack(m->request, NULL, r->payload.len, r->payload.data);
	if (!request) {
		ttrpc_respond(c, stream, TTRPC_INVALID_ARGUMENT, "the request does not parse",
			      NULL);
		return;
	}
	call = c->ncalls < CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;
	if (!call) {
		ttrpc_respond(c, stream, TTRPC_RESOURCE_EXHAUSTED, "too many calls at once", NULL);
	} else {
		call->conn = c;
		call->stream = stream;
		call->next = c->calls;
		if (call->next)
			call->next->prev = call;
		c->calls = call;
		c->ncalls++;
		m->handle(call, request, c->method_arg);
	}
	protobuf_c_message_free_unpacked(request, NULL);
}

void ttrpc_server_take(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
{
	Qemubox__Ttrpc__Request *r;

	if (h->stream % 2 == 0 || h->stream <= c->last_stream) {
		ttrpc_respond(c, h->stream, TTRPC_INVALID_ARGUMENT,
			      "stream ids must be odd and rise", NULL);
		return;
	}
	c->last_stream = h->stream;
	r = qemubox__ttrpc__request__unpack(NULL, h->len, data);
	if (!r) {
		ttrpc_respond(c, h->stream, TTRPC_INVALID_ARGUMENT, "the request does not parse",
			      NULL);
		return;
	}
	serve(c, h->stream, r);
	qemubox__ttrpc__request__free_unpacked(r, NULL);
}

void ttrpc_server_forget(struct ttrpc_conn *c)
{
	for (struct ttrpc_call *call = c->calls; call; call = call->next)
		call->conn = NULL;
}
