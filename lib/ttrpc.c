/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc.c - ttrpc over one connection
 *
 * Theory of Operation
 *
 * Input is read into conn->in until a frame is whole; a frame longer than TTRPC_DATA_MAX is skipped
 * as it comes in and then answered with RESOURCE_EXHAUSTED on its stream. Output is a queue of
 * frames, written when the socket takes them; a peer that lets it grow past OUT_MAX is cut off, as is
 * one that breaks the framing.
 *
 * A struct ttrpc_call is a request of the peer that waits for its answer. It is on conn->calls, and
 * outlives the connection: it then answers into nothing. A struct pending is a request of ours that
 * waits for the peer; it never outlives the connection.
 *
 * Handlers may free the connection they run on. Everything between enter() and leave() therefore
 * looks at conn->dead, and the memory goes in leave().
 */
#include "ttrpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "stream.h"
#include "ttrpc.pb-c.h"

#define OUT_MAX (16u << 20) /* bytes queued for a peer that does not read */
#define CALLS_MAX 4096u	    /* requests of one peer that wait for an answer */

struct frame {
	struct frame *next;
	size_t len, sent;
	uint8_t data[];
};

struct ttrpc_call {
	struct ttrpc_conn *conn; /* NULL once it has gone */
	struct ttrpc_call *prev, *next;
	uint32_t stream;
};

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

struct ttrpc_conn {
	struct loop *loop;
	int fd;
	struct watch *watch;
	const struct ttrpc_method *methods;
	void *method_arg;
	ttrpc_closed_fn *closed;
	void *closed_arg;

	uint8_t *in;
	size_t in_len, in_size;
	size_t skip; /* bytes of an oversized frame still to be thrown away */
	uint32_t last_stream;
	struct ttrpc_call *calls;
	unsigned ncalls;

	struct frame *out, **out_tail;
	size_t out_len;
	loop_fn *flushed;
	void *flushed_arg;

	uint32_t next_stream;
	struct pending *pending;

	int depth; /* enter() without leave() */
	int dead;
	bool held;
};

/* ---- the frame header ---- */

void ttrpc_header_decode(const uint8_t buf[TTRPC_HEADER_LEN], struct ttrpc_header *h)
{
	memcpy(&h->len, buf, 4);
	memcpy(&h->stream, buf + 4, 4);
	h->len = ntohl(h->len);
	h->stream = ntohl(h->stream);
	h->type = buf[8];
	h->flags = buf[9];
}

void ttrpc_header_encode(uint8_t buf[TTRPC_HEADER_LEN], const struct ttrpc_header *h)
{
	uint32_t len = htonl(h->len), stream = htonl(h->stream);

	memcpy(buf, &len, 4);
	memcpy(buf + 4, &stream, 4);
	buf[8] = h->type;
	buf[9] = h->flags;
}

/* ---- the life of a connection ---- */

static void enter(struct ttrpc_conn *c)
{
	c->depth++;
}

static void leave(struct ttrpc_conn *c)
{
	if (--c->depth > 0 || !c->dead)
		return;
	while (c->out) {
		struct frame *f = c->out;

		c->out = f->next;
		free(f);
	}
	free(c->in);
	free(c);
}

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

/* Close the socket and settle what waits; the memory stays until leave(). */
static void shut(struct ttrpc_conn *c, enum ttrpc_code code, const char *why)
{
	if (c->dead)
		return;
	c->dead = 1;
	loop_remove(c->watch);
	close(c->fd);
	for (struct ttrpc_call *call = c->calls; call; call = call->next)
		call->conn = NULL;
	while (c->pending)
		finish_pending(c->pending, code, NULL, why);
	if (c->flushed)
		c->flushed(c->flushed_arg);
}

/* The peer went away or must be dropped. */
static void lose(struct ttrpc_conn *c, const char *why)
{
	if (c->dead)
		return;
	shut(c, TTRPC_UNAVAILABLE, why);
	c->closed(c->closed_arg, c);
}

void ttrpc_free(struct ttrpc_conn *conn)
{
	if (!conn)
		return;
	enter(conn);
	shut(conn, TTRPC_CANCELLED, "the connection was closed");
	leave(conn);
}

/* ---- output ---- */

void ttrpc_on_flush(struct ttrpc_conn *conn, loop_fn *fn, void *arg)
{
	if (conn->dead || !conn->out) {
		fn(arg);
		return;
	}
	conn->flushed = fn;
	conn->flushed_arg = arg;
}

/* Write what the socket takes, in pieces that every vsock carries. May lose the connection. */
static void flush(struct ttrpc_conn *c)
{
	while (c->out && !c->held) {
		struct frame *f = c->out;
		size_t left = f->len - f->sent,
		       len = left < STREAM_WRITE_MAX ? left : STREAM_WRITE_MAX;
		ssize_t n = send(c->fd, f->data + f->sent, len, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			lose(c, strerror(errno));
			return;
		}
		f->sent += (size_t)n;
		c->out_len -= (size_t)n;
		if (f->sent < f->len && (size_t)n == len)
			continue;
		if (f->sent < f->len)
			break;
		c->out = f->next;
		if (!c->out)
			c->out_tail = &c->out;
		free(f);
	}
	loop_set_events(c->watch, c->out && !c->held ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (!c->out && c->flushed) {
		loop_fn *fn = c->flushed;

		c->flushed = NULL;
		fn(c->flushed_arg);
	}
}

void ttrpc_hold(struct ttrpc_conn *conn, bool hold)
{
	conn->held = hold;
	if (!hold && conn->out)
		loop_set_events(conn->watch, EPOLLIN | EPOLLOUT);
}

/* Queue one message. Return: 0, or -1 if it is too large or memory is short. */
static int queue(struct ttrpc_conn *c, uint8_t type, uint32_t stream, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	struct ttrpc_header h = { .len = (uint32_t)len, .stream = stream, .type = type };
	struct frame *f;

	if (len > TTRPC_DATA_MAX)
		return -1;
	f = malloc(sizeof(*f) + TTRPC_HEADER_LEN + len);
	if (!f)
		return -1;
	f->next = NULL;
	f->sent = 0;
	f->len = TTRPC_HEADER_LEN + len;
	ttrpc_header_encode(f->data, &h);
	protobuf_c_message_pack(m, f->data + TTRPC_HEADER_LEN);
	*c->out_tail = f;
	c->out_tail = &f->next;
	c->out_len += f->len;
	return 0;
}

static void push(struct ttrpc_conn *c)
{
	enter(c);
	if (!c->dead && c->out_len > OUT_MAX)
		lose(c, "the peer does not read");
	else if (!c->dead)
		flush(c);
	leave(c);
}

/* ---- server ---- */

static void respond(struct ttrpc_conn *c, uint32_t stream, enum ttrpc_code code,
		    const char *message, const ProtobufCMessage *reply)
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
	if (queue(c, TTRPC_TYPE_RESPONSE, stream, &r.base) < 0 && reply) {
		respond(c, stream, TTRPC_RESOURCE_EXHAUSTED, "the reply is too large", NULL);
		return;
	}
	push(c);
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
		respond(c, stream, TTRPC_OK, NULL, reply);
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
		respond(c, stream, code, message, NULL);
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
		respond(c, stream, TTRPC_UNIMPLEMENTED, err_clean(text), NULL);
		return;
	}
	request = protobuf_c_message_unpack(m->request, NULL, r->payload.len, r->payload.data);
	if (!request) {
		respond(c, stream, TTRPC_INVALID_ARGUMENT, "the request does not parse", NULL);
		return;
	}
	call = c->ncalls < CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;
	if (!call) {
		respond(c, stream, TTRPC_RESOURCE_EXHAUSTED, "too many calls at once", NULL);
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

static void on_request(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
{
	Qemubox__Ttrpc__Request *r;

	if (h->stream % 2 == 0 || h->stream <= c->last_stream) {
		respond(c, h->stream, TTRPC_INVALID_ARGUMENT, "stream ids must be odd and rise",
			NULL);
		return;
	}
	c->last_stream = h->stream;
	r = qemubox__ttrpc__request__unpack(NULL, h->len, data);
	if (!r) {
		respond(c, h->stream, TTRPC_INVALID_ARGUMENT, "the request does not parse", NULL);
		return;
	}
	serve(c, h->stream, r);
	qemubox__ttrpc__request__free_unpacked(r, NULL);
}

/* ---- client ---- */

static void on_timeout(void *arg)
{
	struct pending *p = arg;
	struct ttrpc_conn *c = p->conn;
	enum ttrpc_code code = p->early ? p->early : TTRPC_DEADLINE_EXCEEDED;

	p->timer = NULL;
	enter(c);
	finish_pending(p, code, NULL,
		       p->early ? "the request could not be sent" : "no answer in time");
	leave(c);
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
	if (conn->dead || queue(conn, TTRPC_TYPE_REQUEST, p->stream, &r.base) < 0)
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

static void on_response(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
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

/* ---- input ---- */

static void on_frame(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
{
	if (h->type == TTRPC_TYPE_REQUEST)
		on_request(c, h, data);
	else if (h->type == TTRPC_TYPE_RESPONSE)
		on_response(c, h, data);
	/* Data frames belong to streaming calls, which nobody here offers or makes. */
}

/* A frame is too long: have it thrown away, and say so to whoever waits for it. */
static void oversized(struct ttrpc_conn *c, const struct ttrpc_header *h)
{
	c->skip = h->len;
	if (h->type != TTRPC_TYPE_REQUEST)
		return;
	if (h->stream > c->last_stream)
		c->last_stream = h->stream;
	respond(c, h->stream, TTRPC_RESOURCE_EXHAUSTED, "a message may have at most 4 MiB", NULL);
}

/* Take whole frames off the input buffer. */
static void parse(struct ttrpc_conn *c)
{
	size_t at = 0;

	while (!c->dead && c->in_len > at) {
		size_t have = c->in_len - at;
		struct ttrpc_header h;

		if (c->skip) {
			size_t n = have < c->skip ? have : c->skip;

			c->skip -= n;
			at += n;
			continue;
		}
		if (have < TTRPC_HEADER_LEN)
			break;
		ttrpc_header_decode(c->in + at, &h);
		if (h.len > TTRPC_DATA_MAX) {
			at += TTRPC_HEADER_LEN;
			oversized(c, &h);
			continue;
		}
		if (have < TTRPC_HEADER_LEN + (size_t)h.len)
			break;
		at += TTRPC_HEADER_LEN;
		on_frame(c, &h, c->in + at);
		at += h.len;
	}
	if (at > 0) {
		memmove(c->in, c->in + at, c->in_len - at);
		c->in_len -= at;
	}
}

/* Room for at least one more read; a frame decides how far the buffer may grow. */
static int make_room(struct ttrpc_conn *c)
{
	size_t want = c->in_size ? c->in_size * 2 : 4096;
	uint8_t *grown;

	if (c->in_size - c->in_len >= 2048)
		return 0;
	grown = realloc(c->in, want);
	if (!grown)
		return -1;
	c->in = grown;
	c->in_size = want;
	return 0;
}

static void receive(struct ttrpc_conn *c)
{
	ssize_t n;

	if (make_room(c) < 0) {
		lose(c, "out of memory");
		return;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(c, n == 0 ? "the peer closed the connection" : strerror(errno));
		return;
	}
	c->in_len += (size_t)n;
	parse(c);
}

static void on_ready(void *arg, uint32_t events)
{
	struct ttrpc_conn *c = arg;

	enter(c);
	if (events & EPOLLOUT)
		flush(c);
	if (!c->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		receive(c);
	leave(c);
}

struct ttrpc_conn *ttrpc_new(struct loop *loop, int fd, const struct ttrpc_method *methods,
			     void *method_arg, ttrpc_closed_fn *closed, void *closed_arg,
			     struct qbx_err *err)
{
	struct ttrpc_conn *c = calloc(1, sizeof(*c));

	if (!c || io_set_nonblock(fd, 1) < 0) {
		err_sys(err, c ? errno : ENOMEM, "start ttrpc");
		goto fail;
	}
	c->watch = loop_add_fd(loop, fd, EPOLLIN, on_ready, c, err);
	if (!c->watch)
		goto fail;
	c->loop = loop;
	c->fd = fd;
	c->methods = methods;
	c->method_arg = method_arg;
	c->closed = closed;
	c->closed_arg = closed_arg;
	c->out_tail = &c->out;
	c->next_stream = 1;
	return c;
fail:
	close(fd);
	free(c);
	return NULL;
}
