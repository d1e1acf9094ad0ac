/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - one direction of a container's stdio across the VM boundary */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#define HEADER 4u

/*
 * Sending:   SEND_READ -> SEND_WRITE -> SEND_READ ... -> SEND_LAST (end mark going out) -> SEND_WAIT
 * Receiving: RECV_READ <-> RECV_WRITE (payload going out)
 */
enum state { SEND_READ, SEND_WRITE, SEND_LAST, SEND_WAIT, RECV_READ, RECV_WRITE };

struct stream {
	struct loop *loop;
	enum state state;
	int local, sock;
	struct watch *local_watch, *sock_watch;
	stream_done_fn *done;
	void *arg;
	uint32_t chunk; /* receiving: bytes of the current chunk still to come */
	bool draining;	/* sending: stream_drain() was called, and so many bytes may still follow */
	size_t drain_left;
	bool outlives_sink, sink_gone;
	unsigned long long moved;
	size_t start, end; /* what of buf is still to be written, or not yet parsed */
	unsigned char buf[STREAM_CHUNK_MAX + HEADER];
};

static void end_stream(struct stream *s, enum stream_end how)
{
	if (s->done)
		s->done(s->arg, how);
	stream_free(s);
}

static void rest_all_but(struct stream *s, struct watch *w, uint32_t events)
{
	if (s->local_watch)
		loop_set_events(s->local_watch, s->local_watch == w ? events : 0);
	loop_set_events(s->sock_watch, s->sock_watch == w ? events : 0);
}

static int is_transient(int e)
{
	return e == EAGAIN || e == EINTR;
}

/* ---- sending ---- */

static void queue_chunk(struct stream *s, size_t len, enum state next)
{
	uint32_t header = htonl((uint32_t)len);

	memcpy(s->buf, &header, HEADER);
	s->start = 0;
	s->end = HEADER + len;
	s->state = next;
	rest_all_but(s, s->sock_watch, EPOLLOUT);
}

/* Nobody waits for our end of it: a terminal is hung up now, not when the host has been told. */
static void end_source(struct stream *s)
{
	loop_remove(take_ptr(s->local_watch));
	close(take_fd(&s->local));
	queue_chunk(s, 0, SEND_LAST);
}

static void on_source(struct stream *s)
{
	size_t most = STREAM_WRITE_MAX - HEADER;
	ssize_t n;

	if (s->draining && s->drain_left < most)
		most = s->drain_left;
	do
		n = read(s->local, s->buf + HEADER, most);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && !s->draining)
		return;
	if (n <= 0) {
		end_source(s);
		return;
	}
	s->drain_left -= s->draining ? (size_t)n : 0;
	queue_chunk(s, (size_t)n, SEND_WRITE);
}

static void chunk_sent(struct stream *s)
{
	if (s->state == SEND_LAST) {
		s->state = SEND_WAIT;
		rest_all_but(s, s->sock_watch, EPOLLIN);
	} else {
		s->state = SEND_READ;
		/* The connection is watched as well: a peer that goes away ends the stream. */
		loop_set_events(s->sock_watch, EPOLLIN);
		loop_set_events(s->local_watch, EPOLLIN);
		if (s->draining)
			on_source(s);
	}
}

static void send_chunk(struct stream *s)
{
	ssize_t n = send(s->sock, s->buf + s->start, s->end - s->start, MSG_NOSIGNAL);

	if (n < 0 && is_transient(errno))
		return;
	if (n < 0) {
		end_stream(s, STREAM_BROKEN);
		return;
	}
	s->start += (size_t)n;
	s->moved += (unsigned long long)n;
	if (s->start == s->end)
		chunk_sent(s);
}

/* The receiver never speaks: anything but its orderly close after the end mark is wrong. */
static void on_send_peer(struct stream *s)
{
	char byte;
	ssize_t n = recv(s->sock, &byte, 1, 0);

	if (n < 0 && is_transient(errno))
		return;
	end_stream(s, s->state == SEND_WAIT && n <= 0 ? STREAM_DONE : STREAM_BROKEN);
}

/* ---- receiving ---- */

static void recv_parse(struct stream *s);
static void on_local(void *arg, uint32_t events);

static void read_more(struct stream *s)
{
	s->state = RECV_READ;
	rest_all_but(s, s->sock_watch, EPOLLIN);
}

/* The sink takes no more: another one takes its place, or that was it. */
static void lose_sink(struct stream *s)
{
	struct qbx_err err = { 0 };
	int null = s->outlives_sink ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (null >= 0) {
		loop_remove(s->local_watch);
		close(s->local);
		s->local = null;
		s->sink_gone = true;
		s->local_watch = loop_add_fd(s->loop, null, EPOLLOUT, on_local, s, &err);
	}
	if (null < 0 || !s->local_watch)
		end_stream(s, STREAM_SINK_GONE);
}

/* Write payload at buf[start] out; goes on with what follows it in the buffer. */
static void write_sink(struct stream *s)
{
	size_t len = s->end - s->start;
	ssize_t n;

	if (len > s->chunk)
		len = s->chunk;
	n = write(s->local, s->buf + s->start, len);
	if (n < 0 && is_transient(errno))
		return;
	if (n < 0) {
		lose_sink(s);
		return;
	}
	s->start += (size_t)n;
	s->moved += (unsigned long long)n;
	s->chunk -= (uint32_t)n;
	recv_parse(s);
}

/* Look at buf[start..end): a header, payload, or not enough of either. */
static void recv_parse(struct stream *s)
{
	uint32_t header;

	if (s->chunk == 0 && s->end - s->start >= HEADER) {
		memcpy(&header, s->buf + s->start, HEADER);
		s->start += HEADER;
		s->chunk = ntohl(header);
		if (s->chunk == 0) {
			end_stream(s, s->sink_gone ? STREAM_SINK_GONE : STREAM_DONE);
			return;
		}
		if (s->chunk > STREAM_CHUNK_MAX) {
			end_stream(s, STREAM_BROKEN);
			return;
		}
	}
	if (s->chunk > 0 && s->end > s->start) {
		s->state = RECV_WRITE;
		rest_all_but(s, s->local_watch, EPOLLOUT);
		return;
	}
	memmove(s->buf, s->buf + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	read_more(s);
}

static void on_recv_peer(struct stream *s)
{
	ssize_t n = recv(s->sock, s->buf + s->end, sizeof(s->buf) - s->end, 0);

	if (n < 0 && is_transient(errno))
		return;
	if (n <= 0) {
		end_stream(s, STREAM_BROKEN);
		return;
	}
	s->end += (size_t)n;
	recv_parse(s);
}

/* ---- both ---- */

static void on_local(void *arg, uint32_t events)
{
	struct stream *s = arg;

	(void)events;
	if (s->state == SEND_READ)
		on_source(s);
	else if (s->state == RECV_WRITE)
		write_sink(s);
}

static void on_sock(void *arg, uint32_t events)
{
	struct stream *s = arg;

	(void)events;
	switch (s->state) {
	case SEND_WRITE:
	case SEND_LAST:
		send_chunk(s);
		break;
	case SEND_READ:
	case SEND_WAIT:
		on_send_peer(s);
		break;
	case RECV_READ:
		on_recv_peer(s);
		break;
	case RECV_WRITE:
		break;
	}
}

static struct stream *stream_new(struct loop *loop, enum state state, int local, int sock,
				 stream_done_fn *done, void *arg, struct qbx_err *err)
{
	struct stream *s = malloc(sizeof(*s)); /* not all of it is ever touched */

	if (!s) {
		close(local);
		close(sock);
		err_sys(err, ENOMEM, "start a stream");
		return NULL;
	}
	memset(s, 0, offsetof(struct stream, buf));
	s->loop = loop;
	s->state = state;
	s->local = local;
	s->sock = sock;
	s->done = done;
	s->arg = arg;
	s->sock_watch = loop_add_fd(loop, sock, EPOLLIN, on_sock, s, err);
	if (s->sock_watch)
		s->local_watch = loop_add_fd(loop, local, EPOLLIN, on_local, s, err);
	if (!s->local_watch) {
		stream_free(s);
		return NULL;
	}
	if (state == RECV_READ)
		loop_set_events(s->local_watch, 0);
	return s;
}

struct stream *stream_send(struct loop *loop, int src, int sock, stream_done_fn *done, void *arg,
			   struct qbx_err *err)
{
	return stream_new(loop, SEND_READ, src, sock, done, arg, err);
}

struct stream *stream_recv(struct loop *loop, int sock, int dst, stream_done_fn *done, void *arg,
			   struct qbx_err *err)
{
	return stream_new(loop, RECV_READ, dst, sock, done, arg, err);
}

void stream_drain(struct stream *s)
{
	s->draining = true;
	s->drain_left = STREAM_DRAIN_MAX;
	if (s->state == SEND_READ)
		on_source(s);
}

void stream_hold(struct stream *s, bool hold)
{
	bool writes = s->state == SEND_WRITE || s->state == SEND_LAST;

	rest_all_but(s, s->sock_watch, !writes ? EPOLLIN : hold ? 0 : EPOLLOUT);
	if (s->state == SEND_READ && !hold)
		loop_set_events(s->local_watch, EPOLLIN);
}

void stream_outlive_sink(struct stream *s)
{
	s->outlives_sink = true;
}

unsigned long long stream_moved(const struct stream *s)
{
	return s->moved;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	loop_remove(s->local_watch);
	loop_remove(s->sock_watch);
	if (s->local >= 0)
		close(s->local);
	close(s->sock);
	free(s);
}
