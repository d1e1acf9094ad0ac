/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc-conn.h - what the parts of a connection show each other; for lib/ttrpc*.c alone */
#ifndef QBX_TTRPC_CONN_H
#define QBX_TTRPC_CONN_H

#include "ttrpc.h"

struct frame;
struct pending;

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

	int depth; /* ttrpc_enter() without ttrpc_leave() */
	int dead;
	bool held;
};

/* ttrpc.c */

/** ttrpc_enter() - until ttrpc_leave() the memory stays, whoever ends the connection. */
void ttrpc_enter(struct ttrpc_conn *c);
void ttrpc_leave(struct ttrpc_conn *c);

/** ttrpc_queue() - queue one message. Return: 0, or -1 if it is too large or memory is short. */
int ttrpc_queue(struct ttrpc_conn *c, uint8_t type, uint32_t stream,
		const ProtobufCMessage *m) _must_check_;

/** ttrpc_push() - send what the socket takes; a peer that does not read is dropped. */
void ttrpc_push(struct ttrpc_conn *c);

/* ttrpc-server.c */

/** ttrpc_server_take() - a whole request; @data has h->len bytes. */
void ttrpc_server_take(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data);

/** ttrpc_respond() - send an answer: @reply, or NULL with a @code and a @message. */
void ttrpc_respond(struct ttrpc_conn *c, uint32_t stream, enum ttrpc_code code, const char *message,
		   const ProtobufCMessage *reply);

/** ttrpc_server_forget() - the connection ends: calls that are not answered lose it. */
void ttrpc_server_forget(struct ttrpc_conn *c);

/* ttrpc-client.c */

/** ttrpc_client_take() - a whole response; @data has h->len bytes. */
void ttrpc_client_take(struct ttrpc_conn *c, const struct ttrpc_header *h, const uint8_t *data);

/** ttrpc_client_fail() - end all requests that wait. */
void ttrpc_client_fail(struct ttrpc_conn *c, enum ttrpc_code code, const char *why);

#endif
