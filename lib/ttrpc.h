/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc.h - ttrpc over one connection, as a server, a client, or both
 *
 * Source of the format: the PROTOCOL.md of containerd/ttrpc. A frame is u32 BE length, u32 BE stream
 * id, u8 type, u8 flags, then length bytes, at most 4 MiB. Unary calls only.
 *
 * Every object belongs to one loop. Calls answer in any order; a call whose connection has gone is
 * still answered by its handler, into nothing.
 */
#ifndef QBX_TTRPC_H
#define QBX_TTRPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

#define TTRPC_DATA_MAX (4u << 20)

/* google.rpc.Code, as far as it matters here */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_CANCELLED = 1,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
};

struct ttrpc_conn;
struct ttrpc_call;

/* One method that a server offers. */
struct ttrpc_method {
	const char *service; /* "containerd.task.v3.Task" */
	const char *name;    /* "Create" */
	const ProtobufCMessageDescriptor *request;
	/*
	 * Called with the unpacked request, which lives until the handler returns. Every call must
	 * be answered once, now or later, by ttrpc_reply() or ttrpc_fail().
	 */
	void (*handle)(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);
};

/** ttrpc_closed_fn - the connection ended; it is freed when this returns. */
typedef void ttrpc_closed_fn(void *arg, struct ttrpc_conn *conn);

/**
 * ttrpc_new() - speak ttrpc on a connected socket
 * @fd: taken over; made non-blocking
 * @methods: ended by a NULL service; NULL for a client. Must outlive the connection.
 * @method_arg: handed to each method
 * @closed: called when the peer goes away or breaks the protocol, after every pending client call
 *          has failed with TTRPC_UNAVAILABLE; not called by ttrpc_free(). It is where the owner
 *          forgets its pointer.
 * Return: the connection, or NULL with @err and @fd closed.
 */
struct ttrpc_conn *ttrpc_new(struct loop *loop, int fd, const struct ttrpc_method *methods,
			     void *method_arg, ttrpc_closed_fn *closed, void *closed_arg,
			     struct qbx_err *err) _must_check_;

/** ttrpc_free() - close; pending client calls fail with TTRPC_CANCELLED first. NULL is allowed. */
void ttrpc_free(struct ttrpc_conn *conn);

/** ttrpc_on_flush() - call @fn once, when all that was queued has left, or the connection ends. */
void ttrpc_on_flush(struct ttrpc_conn *conn, loop_fn *fn, void *arg);

/** ttrpc_hold() - send nothing until it is let go again: calls and answers wait, deadlines go on. */
void ttrpc_hold(struct ttrpc_conn *conn, bool hold);

/** ttrpc_call_conn() - the connection a call came on, or NULL if it has gone. */
struct ttrpc_conn *ttrpc_call_conn(const struct ttrpc_call *call);

/** ttrpc_reply() - answer a call; @call is freed. @reply is borrowed. */
void ttrpc_reply(struct ttrpc_call *call, const ProtobufCMessage *reply);

/** ttrpc_fail() - answer a call with an error; @call is freed. */
void ttrpc_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *fmt, ...) _printf_(3, 4);

/** ttrpc_fail_err() - ttrpc_fail() with the message of @err and ttrpc_code_of(@err). */
void ttrpc_fail_err(struct ttrpc_call *call, const struct qbx_err *err);

/** ttrpc_code_of() - the code that fits an error: by errno first, then by exit status. */
enum ttrpc_code ttrpc_code_of(const struct qbx_err *err);

/**
 * ttrpc_done_fn - a client call ended
 * @code: TTRPC_OK, or what went wrong
 * @reply: unpacked reply, borrowed until return; NULL unless TTRPC_OK
 * @message: the error's text, control characters cleaned; "" when TTRPC_OK
 */
typedef void ttrpc_done_fn(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			   const char *message);

/**
 * ttrpc_request() - call a method of the peer
 * @timeout_ms: deadline, sent along and kept here; 0 for none
 * @reply: descriptor of the reply
 * @done: called exactly once, never before ttrpc_request() has returned; may be NULL
 */
void ttrpc_request(struct ttrpc_conn *conn, const char *service, const char *method,
		   const ProtobufCMessage *request, unsigned timeout_ms,
		   const ProtobufCMessageDescriptor *reply, ttrpc_done_fn *done, void *arg);

/* The frame header, apart for its fuzz target. */
struct ttrpc_header {
	uint32_t len, stream;
	uint8_t type, flags;
};

#define TTRPC_HEADER_LEN 10u
enum { TTRPC_TYPE_REQUEST = 1, TTRPC_TYPE_RESPONSE = 2, TTRPC_TYPE_DATA = 3 };

void ttrpc_header_decode(const uint8_t buf[TTRPC_HEADER_LEN], struct ttrpc_header *h);
void ttrpc_header_encode(uint8_t buf[TTRPC_HEADER_LEN], const struct ttrpc_header *h);

#endif
