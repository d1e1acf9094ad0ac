/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "task.pb-c.h"
#include "ttrpc.h"
#include "ttrpc.pb-c.h"

/* A server on one end of a socket pair; the test speaks on the other, raw or as a client. */
struct fixture {
	struct loop *loop;
	struct ttrpc_conn *server, *client;
	int peer; /* raw end, when there is no client */
	struct ttrpc_call *parked[300];
	size_t nparked;
	int closed, answers, rounds;
	enum ttrpc_code code;
	char message[200];
	uint32_t pid;
};

static void handle_connect(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ConnectRequest *r = (const void *)request;
	Qemubox__Task__ConnectResponse reply = QEMUBOX__TASK__CONNECT_RESPONSE__INIT;

	(void)arg;
	if (!strcmp(r->id, "absent")) {
		ttrpc_fail(call, TTRPC_NOT_FOUND, "no task %s", r->id);
		return;
	}
	reply.shim_pid = 42;
	ttrpc_reply(call, &reply.base);
}

static void handle_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	struct fixture *f = arg;

	(void)request;
	f->parked[f->nparked++] = call;
}

static const struct ttrpc_method methods[] = {
	{ "t.Task", "Connect", &qemubox__task__connect_request__descriptor, handle_connect },
	{ "t.Task", "Wait", &qemubox__task__wait_request__descriptor, handle_wait },
	{ NULL, NULL, NULL, NULL },
};

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct fixture *f = arg;

	if (conn == f->client)
		f->client = NULL;
	else
		f->server = NULL;
	f->closed = 1;
}

static int setup(void **state, int with_client)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct qbx_err err = { 0 };
	int sv[2];

	*state = f;
	f->peer = -1;
	f->loop = loop_new(&err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	f->server = ttrpc_new(f->loop, sv[0], methods, f, on_closed, f, &err);
	assert_non_null(f->server);
	if (with_client)
		f->client = ttrpc_new(f->loop, sv[1], NULL, NULL, on_closed, f, &err);
	else
		f->peer = sv[1];
	return 0;
}

static int setup_raw(void **state)
{
	return setup(state, 0);
}

static int setup_client(void **state)
{
	return setup(state, 1);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_free(f->client);
	if (f->peer >= 0)
		close(f->peer);
	ttrpc_free(f->server);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void next_round(void *arg)
{
	struct fixture *f = arg;

	if (--f->rounds == 0)
		loop_stop(f->loop);
	else
		assert_non_null(loop_defer(f->loop, next_round, f));
}

/* Let the loop settle: what is ready now, what that makes ready, and so on; time plays no part. */
static void settle(struct fixture *f)
{
	struct qbx_err err = { 0 };

	f->rounds = 100;
	assert_non_null(loop_defer(f->loop, next_round, f));
	assert_int_equal(loop_run(f->loop, &err), 0);
}

static void pass_time(struct fixture *f, unsigned ms)
{
	struct qbx_err err = { 0 };

	assert_non_null(loop_add_timer(f->loop, ms, stop, f->loop, &err));
	assert_int_equal(loop_run(f->loop, &err), 0);
}

static void done(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		 const char *message)
{
	struct fixture *f = arg;

	f->answers++;
	f->code = code;
	snprintf(f->message, sizeof(f->message), "%s", message);
	f->pid = code ? 0 : ((const Qemubox__Task__ConnectResponse *)reply)->shim_pid;
}

static void call_connect(struct fixture *f, const char *service, const char *method, const char *id,
			 unsigned timeout_ms)
{
	Qemubox__Task__ConnectRequest r = QEMUBOX__TASK__CONNECT_REQUEST__INIT;

	r.id = (char *)id;
	ttrpc_request(f->client, service, method, &r.base, timeout_ms,
		      &qemubox__task__connect_response__descriptor, done, f);
}

static void a_call_is_answered(void **state)
{
	struct fixture *f = *state;

	call_connect(f, "t.Task", "Connect", "x", 1000);
	assert_int_equal(f->answers, 0);
	settle(f);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->code, TTRPC_OK);
	assert_int_equal(f->pid, 42);
}

static void what_is_held_is_sent_afterwards(void **state)
{
	struct fixture *f = *state;

	ttrpc_hold(f->client, true);
	call_connect(f, "t.Task", "Connect", "x", 0);
	settle(f);
	assert_int_equal(f->answers, 0);
	ttrpc_hold(f->client, false);
	settle(f);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->code, TTRPC_OK);
}

static void errors_carry_code_and_text(void **state)
{
	struct fixture *f = *state;

	call_connect(f, "t.Task", "Connect", "absent", 0);
	settle(f);
	assert_int_equal(f->code, TTRPC_NOT_FOUND);
	assert_string_equal(f->message, "no task absent");
	call_connect(f, "t.Task", "Nonsense", "x", 0);
	settle(f);
	assert_int_equal(f->code, TTRPC_UNIMPLEMENTED);
	call_connect(f, "other.Task", "Connect", "x", 0);
	settle(f);
	assert_int_equal(f->code, TTRPC_UNIMPLEMENTED);
}

static void a_deadline_ends_a_call(void **state)
{
	struct fixture *f = *state;
	Qemubox__Task__WaitResponse reply = QEMUBOX__TASK__WAIT_RESPONSE__INIT;

	call_connect(f, "t.Task", "Wait", "x", 5);
	pass_time(f, 100);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->code, TTRPC_DEADLINE_EXCEEDED);
	/* The answer that comes too late is dropped. */
	ttrpc_reply(f->parked[0], &reply.base);
	settle(f);
	assert_int_equal(f->answers, 1);
}

static void many_calls_park_and_answer_out_of_order(void **state)
{
	struct fixture *f = *state;
	Qemubox__Task__WaitResponse reply = QEMUBOX__TASK__WAIT_RESPONSE__INIT;

	for (int i = 0; i < 200; i++)
		call_connect(f, "t.Task", "Wait", "x", 0);
	settle(f);
	assert_int_equal(f->nparked, 200);
	call_connect(f, "t.Task", "Connect", "x", 0);
	settle(f);
	assert_int_equal(f->answers, 1);
	for (size_t i = 200; i-- > 0;)
		ttrpc_reply(f->parked[i], &reply.base);
	settle(f);
	assert_int_equal(f->answers, 201);
}

static void losing_the_peer_fails_what_waits(void **state)
{
	struct fixture *f = *state;

	call_connect(f, "t.Task", "Wait", "x", 0);
	settle(f);
	ttrpc_free(f->server);
	f->server = NULL;
	settle(f);
	assert_int_equal(f->code, TTRPC_UNAVAILABLE);
	/* A call whose connection has gone is answered into nothing. */
	assert_null(ttrpc_call_conn(f->parked[0]));
	ttrpc_fail(f->parked[0], TTRPC_UNKNOWN, "late");
}

/* ---- raw frames ---- */

static void send_frame(struct fixture *f, uint32_t len, uint32_t stream, uint8_t type,
		       const void *data, size_t data_len)
{
	struct ttrpc_header h = { .len = len, .stream = stream, .type = type };
	uint8_t head[TTRPC_HEADER_LEN];

	ttrpc_header_encode(head, &h);
	assert_int_equal(io_write_all(f->peer, head, sizeof(head)), 0);
	for (size_t at = 0; at < data_len; at += 65536) {
		size_t n = data_len - at < 65536 ? data_len - at : 65536;

		assert_int_equal(io_write_all(f->peer, (const char *)data + at, n), 0);
		if (data_len > 65536)
			settle(f);
	}
}

static size_t request_bytes(uint8_t *buf)
{
	Qemubox__Ttrpc__Request r = QEMUBOX__TTRPC__REQUEST__INIT;

	r.service = (char *)"t.Task";
	r.method = (char *)"Connect";
	return qemubox__ttrpc__request__pack(&r, buf);
}

/* The code of the next response on the raw end. */
static int response_code(struct fixture *f, uint32_t *stream)
{
	uint8_t buf[4096];
	struct ttrpc_header h;
	Qemubox__Ttrpc__Response *r;
	int code;

	settle(f);
	assert_int_equal(recv(f->peer, buf, TTRPC_HEADER_LEN, MSG_DONTWAIT), TTRPC_HEADER_LEN);
	ttrpc_header_decode(buf, &h);
	assert_int_equal(h.type, TTRPC_TYPE_RESPONSE);
	assert_int_equal(recv(f->peer, buf, h.len, MSG_DONTWAIT), h.len);
	r = qemubox__ttrpc__response__unpack(NULL, h.len, buf);
	assert_non_null(r);
	code = r->status ? r->status->code : 0;
	qemubox__ttrpc__response__free_unpacked(r, NULL);
	*stream = h.stream;
	return code;
}

static void stream_ids_must_be_odd_and_rise(void **state)
{
	struct fixture *f = *state;
	uint8_t req[64];
	size_t n = request_bytes(req);
	uint32_t stream;

	send_frame(f, (uint32_t)n, 5, TTRPC_TYPE_REQUEST, req, n);
	assert_int_equal(response_code(f, &stream), TTRPC_OK);
	assert_int_equal(stream, 5);
	send_frame(f, (uint32_t)n, 5, TTRPC_TYPE_REQUEST, req, n);
	assert_int_equal(response_code(f, &stream), TTRPC_INVALID_ARGUMENT);
	send_frame(f, (uint32_t)n, 8, TTRPC_TYPE_REQUEST, req, n);
	assert_int_equal(response_code(f, &stream), TTRPC_INVALID_ARGUMENT);
	send_frame(f, (uint32_t)n, 7, TTRPC_TYPE_REQUEST, req, n);
	assert_int_equal(response_code(f, &stream), TTRPC_OK);
}

static void an_oversized_frame_is_skipped_and_answered(void **state)
{
	struct fixture *f = *state;
	size_t big = TTRPC_DATA_MAX + 1;
	_cleanup_free_ uint8_t *data = calloc(1, big);
	uint8_t req[64];
	size_t n = request_bytes(req);
	uint32_t stream;

	send_frame(f, (uint32_t)big, 1, TTRPC_TYPE_REQUEST, data, big);
	assert_int_equal(response_code(f, &stream), TTRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(stream, 1);
	send_frame(f, (uint32_t)n, 3, TTRPC_TYPE_REQUEST, req, n);
	assert_int_equal(response_code(f, &stream), TTRPC_OK);
}

static void garbage_in_a_request_is_invalid(void **state)
{
	struct fixture *f = *state;
	uint32_t stream;

	send_frame(f, 4, 1, TTRPC_TYPE_REQUEST, "\xff\xff\xff\xff", 4);
	assert_int_equal(response_code(f, &stream), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(f->closed, 0);
}

static void a_disconnect_in_the_middle_is_told(void **state)
{
	struct fixture *f = *state;

	send_frame(f, 100, 1, TTRPC_TYPE_REQUEST, "abc", 3);
	close(f->peer);
	f->peer = -1;
	settle(f);
	assert_int_equal(f->closed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_is_answered, setup_client, teardown),
		cmocka_unit_test_setup_teardown(what_is_held_is_sent_afterwards, setup_client,
						teardown),
		cmocka_unit_test_setup_teardown(errors_carry_code_and_text, setup_client, teardown),
		cmocka_unit_test_setup_teardown(a_deadline_ends_a_call, setup_client, teardown),
		cmocka_unit_test_setup_teardown(many_calls_park_and_answer_out_of_order,
						setup_client, teardown),
		cmocka_unit_test_setup_teardown(losing_the_peer_fails_what_waits, setup_client,
						teardown),
		cmocka_unit_test_setup_teardown(stream_ids_must_be_odd_and_rise, setup_raw,
						teardown),
		cmocka_unit_test_setup_teardown(an_oversized_frame_is_skipped_and_answered,
						setup_raw, teardown),
		cmocka_unit_test_setup_teardown(garbage_in_a_request_is_invalid, setup_raw,
						teardown),
		cmocka_unit_test_setup_teardown(a_disconnect_in_the_middle_is_told, setup_raw,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
