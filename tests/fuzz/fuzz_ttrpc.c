/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_ttrpc.c - a peer that sends anything: requests to a server, responses to a client */
#include "fuzz.h"

#include <sys/socket.h>

#include "io.h"
#include "task.pb-c.h"
#include "ttrpc.h"

static struct loop *loop;
static int closed;

static void handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Task__Empty reply = QEMUBOX__TASK__EMPTY__INIT;

	(void)request;
	(void)arg;
	ttrpc_reply(call, &reply.base);
}

static const struct ttrpc_method methods[] = {
	{ "t", "C", &qemubox__task__create_request__descriptor, handle },
	{ "t", "W", &qemubox__task__wait_request__descriptor, handle },
	{ NULL, NULL, NULL, NULL },
};

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)arg;
	(void)conn;
	closed = 1;
	loop_stop(loop);
}

static void done(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply, const char *message)
{
	(void)arg;
	if (!message || (code == TTRPC_OK) != (reply != NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Qemubox__Task__WaitRequest wait = QEMUBOX__TASK__WAIT_REQUEST__INIT;
	struct qbx_err err = { 0 };
	struct ttrpc_conn *conn;
	int sv[2];

	if (size > 65536)
		return 0;
	loop = loop_new(&err);
	closed = 0;
	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	conn = ttrpc_new(loop, sv[0], methods, NULL, on_closed, NULL, &err);
	if (!conn)
		abort();
	ttrpc_request(conn, "t", "W", &wait.base, 0, &qemubox__task__wait_response__descriptor, done,
		      NULL);
	if (io_write_all(sv[1], data, size) < 0)
		abort();
	shutdown(sv[1], SHUT_WR);
	if (loop_run(loop, &err) < 0 || !closed)
		abort();
	close(sv[1]);
	loop_free(loop);
	return 0;
}
