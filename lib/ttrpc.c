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
 * What frames mean is for ttrpc-server.c, of requests of the peer, and ttrpc-client.c, of ours.
 *
 * Handlers may free the connection they run on. Everything between ttrpc_enter() and ttrpc_leave()
 * therefore looks at conn->dead, and the memory goes in ttrpc_leave().
 */
#include "ttrpc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "stream.h"
#include "ttrpc-conn.h"

#define OUT_MAX (16u << 20) /* bytes queued for a peer that does not read */

struct frame {
	struct frame *next;
	size_t len, sent;
	uint8_t data[];
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

void ttrpc_enter(struct ttrpc_conn *c)
{
	c->depth++;
}

void ttrpc_leave(struct ttrpc_conn *c)
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

/* Close the socket and settle what waits; the memory stays until ttrpc_leave(). */
static void shut(struct ttrpc_conn *c, enum ttrpc_code code, const char *why)
{
	if (c->dead)
		return;
	c->dead = 1;
	loop_remove(c->watch);
	close(c->fd);
	ttrpc_server_forget(c);
	ttrpc_client_fail(c, code, why);
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
	ttrpc_enter(conn);
	shut(conn, TTRPC_CANCELLED, "the connection was closed");
	ttrpc_leave(conn);
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
int ttrpc_queue(struct ttrpc_conn *c, uint8_t type, uint32_t stream, const ProtobufCMessage *m)
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

void ttrpc_push(struct ttrpc_conn *c)
{
	ttrpc_enter(c);
	if (!c->dead && c->out_len > OUT_MAX)
		lose(c, "the peer does not read");
	else if (!c->dead)
		flush(c);
	ttrpc_leave(c);
}

/* ---- input ---- */

static void on_frame(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data)
{
	if (h->type == TTRPC_TYPE_REQUEST)
		ttrpc_server_take(c, h, data);
	else if (h->type == TTRPC_TYPE_RESPONSE)
		ttrpc_client_take(c, h, data);
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
	ttrpc_respond(c, h->stream, TTRPC_RESOURCE_EXHAUSTED, "a message may have at most 4 MiB",
		      NULL);
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

	ttrpc_enter(c);
	if (events & EPOLLOUT)
		flush(c);
	if (!c->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		receive(c);
	ttrpc_leave(c);
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
