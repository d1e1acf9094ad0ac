/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - one direction of a container's stdio across the VM boundary
 *
 * Theory of Operation
 *
 * Each direction of stdio is a connection of its own. What crosses it is chunks: a u32 BE length, then
 * that many bytes, at most STREAM_CHUNK_MAX. Length 0 ends the stream. A connection that ends without
 * that mark lost data, and is reported so: a half-close is not passed on by every vsock transport,
 * and a close may overtake bytes that are still queued.
 *
 * The receiver of the end mark closes the connection; the sender waits for that, so that no transport
 * can drop what is queued behind a close. Back-pressure is the connection's own: the sender reads its
 * source only when the last chunk has been written out.
 */
#ifndef QBX_STREAM_H
#define QBX_STREAM_H

#include <stdbool.h>

#include "loop.h"

#define STREAM_CHUNK_MAX 65532u /* bytes in a chunk that a receiver accepts */

/*
 * Bytes in one write to the connection, header included. vhost-device-vsock 0.3.0 stalls for good on
 * the packets that a guest kernel makes of larger writes.
 */
#define STREAM_WRITE_MAX 16384u

#define STREAM_DRAIN_MAX 65536u /* more than a pipe or a pseudo-terminal holds */

enum stream_end {
	STREAM_DONE,	  /* the end mark was sent and the peer closed, or it was received */
	STREAM_BROKEN,	  /* the connection ended, or broke the rules, before the end mark */
	STREAM_SINK_GONE, /* receiving: the local sink took no more (EPIPE) */
};

struct stream;

/** stream_done_fn - the stream is over; it is freed and its descriptors closed when this returns. */
typedef void stream_done_fn(void *arg, enum stream_end end);

/**
 * stream_send() - move bytes from a local descriptor into the connection until end of file
 * @src: taken over; non-blocking, a regular file, or safe to read once when readable. Closed when it
 *       has ended. The EIO of a pseudo-terminal whose other side is closed is an end of file.
 * @sock: taken over; non-blocking
 * Return: the stream, or NULL with @err and both descriptors closed.
 */
struct stream *stream_send(struct loop *loop, int src, int sock, stream_done_fn *done, void *arg,
			   struct qbx_err *err) _must_check_;

/** stream_recv() - the reverse: from the connection into @dst; both taken over, non-blocking. */
struct stream *stream_recv(struct loop *loop, int sock, int dst, stream_done_fn *done, void *arg,
			   struct qbx_err *err) _must_check_;

/**
 * stream_drain() - sending: the source ends where it has nothing more for now
 * For one that has no end of its own, like a terminal whose user has left. What is there now is read,
 * and at most STREAM_DRAIN_MAX bytes of it, for a source that never runs dry.
 */
void stream_drain(struct stream *s);

/** stream_hold() - sending: send nothing until it is let go again; a peer that goes away is noticed. */
void stream_hold(struct stream *s, bool hold);

/**
 * stream_outlive_sink() - receiving: what a sink takes no more of is dropped, up to the end mark
 * The sender does not notice; the sink is closed at once, and done says STREAM_SINK_GONE in the end.
 */
void stream_outlive_sink(struct stream *s);

/** stream_moved() - bytes handed on so far, headers included: did it get anywhere lately? */
unsigned long long stream_moved(const struct stream *s);

/** stream_free() - give up at once, without calling done; NULL is allowed. */
void stream_free(struct stream *s);

#endif
