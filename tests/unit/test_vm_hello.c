/* SPDX-License-Identifier: Apache-2.0 */
/* the guest's hello: decoded, answered, and held over a real socket */
#include "unit.h"

#include <sys/socket.h>

#include "qbx-vm/greet.c"
#include "qbx-vm/hello.c"

static const uint8_t token[GUEST_TOKEN_LEN] = "0123456789abcdef0123456789abcde";

static struct box box_of(const char *text)
{
	struct qbx_err err = { 0 };
	struct box box;

	if (box_take(&box, json_loads(text, 0, NULL), "test", &err) < 0)
		fail_msg("%s", err.msg);
	return box;
}

/* A Hello with its length in front. Return: its bytes. */
static size_t make_hello(uint8_t *buf, unsigned version, const char *kernel)
{
	Qemubox__Guest__V1__Hello h = QEMUBOX__GUEST__V1__HELLO__INIT;
	uint32_t len;

	h.version = version;
	h.kernel = (char *)kernel;
	h.cpus = 2;
	len = htonl((uint32_t)qemubox__guest__v1__hello__get_packed_size(&h));
	memcpy(buf, &len, 4);
	return 4 + qemubox__guest__v1__hello__pack(&h, buf + 4);
}

static void a_hello_is_cleaned(void **state)
{
	struct qbx_err err = { 0 };
	uint8_t buf[256];
	size_t len = make_hello(buf, 1, "6.12\033[31m\n");
	struct hello h;

	(void)state;
	assert_int_equal(hello_decode(buf + 4, len - 4, &h, &err), 0);
	assert_string_equal(h.kernel, "6.12 [31m");
	assert_int_equal(h.cpus, 2);
}

static void another_version_and_rubbish_are_refused(void **state)
{
	struct qbx_err err = { 0 };
	uint8_t buf[256] = "\xff\xff\xff\xff";
	struct hello h;
	size_t len;

	(void)state;
	assert_int_equal(hello_decode(buf, 4, &h, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	len = make_hello(buf, 2, "k");
	assert_int_equal(hello_decode(buf + 4, len - 4, &h, &err), -1);
	assert_non_null(strstr(err.msg, "version 2, not 1"));
}

static void the_answer_has_what_the_document_says(void **state)
{
	struct box box =
		box_of("{\"qbx\":1,\"id\":\"demo\",\"net\":{\"netns\":\"/"
		       "n\",\"links\":[{\"name\":\"eth0\",\"tap\":\"t\","
		       "\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,\"addresses\":[\"10.0.0.2/"
		       "24\"],\"routes\":["
		       "{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.0.0.1\"},{\"dst\":\"10.9.0.0/16\"}]}],"
		       "\"dns\":{\"nameservers\":[\"10.0.0.1\"],\"search\":[\"x.test\"]}}}");
	Qemubox__Guest__V1__Boot *b;
	struct qbx_err err = { 0 };
	uint8_t *buf = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(hello_answer(&box, token, &buf, &len, &err), 0);
	b = qemubox__guest__v1__boot__unpack(NULL, len - 4, buf + 4);
	assert_non_null(b);
	assert_int_equal(b->token.len, GUEST_TOKEN_LEN);
	assert_memory_equal(b->token.data, token, GUEST_TOKEN_LEN);
	assert_int_equal(b->entropy.len, 64);
	assert_true(b->time_ns > 1700000000ll * 1000000000);
	assert_string_equal(b->hostname, "demo");
	assert_int_equal(b->n_links, 1);
	assert_int_equal(b->links[0]->mtu, 1400);
	assert_string_equal(b->links[0]->addresses[0], "10.0.0.2/24");
	assert_string_equal(b->links[0]->routes[0]->gw, "10.0.0.1");
	assert_string_equal(b->links[0]->routes[1]->gw, "");
	assert_string_equal(b->nameservers[0], "10.0.0.1");
	assert_string_equal(b->search[0], "x.test");
	qemubox__guest__v1__boot__free_unpacked(b, NULL);
	free(buf);
	box_free(&box);
}

static void a_bad_network_is_found_before_anything_starts(void **state)
{
	static const char *const bad[] = {
		"{\"qbx\":1,\"id\":\"a\",\"net\":{\"links\":[{\"name\":\"eth0\"}]}}",
		"{\"qbx\":1,\"id\":\"a\",\"net\":{\"links\":[{\"name\":\"e\",\"mac\":\"m\",\"mtu\":"
		"70000}]}}",
		"{\"qbx\":1,\"id\":\"a\",\"net\":{\"links\":[{\"name\":\"e\",\"mac\":\"m\","
		"\"addresses\":[1]}]}}",
		"{\"qbx\":1,\"id\":\"a\",\"net\":{\"links\":[{\"name\":\"e\",\"mac\":\"m\","
		"\"routes\":[{}]}]}}",
		"{\"qbx\":1,\"id\":\"a\",\"net\":{\"dns\":{\"nameservers\":\"x\"}}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct box box = box_of(bad[i]);
		struct qbx_err err = { 0 };
		uint8_t *buf;
		size_t len;

		assert_int_equal(hello_answer(&box, token, &buf, &len, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		box_free(&box);
	}
}

/* ---- the conversation ---- */

struct outcome {
	struct loop *loop;
	bool done;
	struct hello hello;
	struct qbx_err err;
};

static void on_done(void *arg, const struct hello *hello, const struct qbx_err *err)
{
	struct outcome *o = arg;

	o->done = true;
	if (hello)
		o->hello = *hello;
	if (err)
		o->err = *err;
	loop_stop(o->loop);
}

/*
 * A listener on an abstract address of its own, and who may dial it. Return: a dialled
 * connection.
 */
static int dial(struct outcome *o, struct greet **g, const struct box *box, pid_t believed)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage sa = { .ss_family = AF_UNIX };
	socklen_t len = sizeof(sa.ss_family);
	struct qbx_err err = { 0 };

	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 4), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	o->loop = loop_new(&err);
	*g = greet_start(o->loop, listener, 0, believed, box, token, on_done, o, &err);
	assert_non_null(*g);
	return fd;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

static void spin(struct loop *loop, unsigned ms)
{
	struct qbx_err err = { 0 };
	struct watch *w = loop_add_timer(loop, ms, stop_loop, loop, &err);

	assert_int_equal(loop_run(loop, &err), 0);
	(void)w;
}

static void the_guest_is_greeted_when_it_has_closed(void **state)
{
	struct box box = box_of("{\"qbx\":1,\"id\":\"demo\"}");
	struct outcome o = { 0 };
	struct greet *g;
	uint8_t buf[1024];
	int fd = dial(&o, &g, &box, getpid());
	ssize_t n;

	(void)state;
	n = (ssize_t)make_hello(buf, 1, "6.12");
	assert_int_equal(write(fd, buf, 3), 3);
	spin(o.loop, 20);
	assert_int_equal(write(fd, buf + 3, (size_t)n - 3), n - 3);
	spin(o.loop, 20);
	assert_false(o.done); /* it has the answer, but has not said so */
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	assert_true(n > 4 + (ssize_t)GUEST_TOKEN_LEN);
	close(fd);
	spin(o.loop, 1000);
	assert_true(o.done);
	assert_int_equal(o.err.code, 0);
	assert_string_equal(o.hello.kernel, "6.12");
	loop_free(o.loop);
	box_free(&box);
}

static void a_stranger_is_dropped_and_the_wait_goes_on(void **state)
{
	struct box box = box_of("{\"qbx\":1,\"id\":\"demo\"}");
	struct outcome o = { 0 };
	struct greet *g;
	char byte;
	int fd = dial(&o, &g, &box, 1);

	(void)state;
	log_open("test", LOG_LEVEL_ERROR, 2);
	spin(o.loop, 20);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_false(o.done);
	greet_free(g);
	close(fd);
	loop_free(o.loop);
	box_free(&box);
}

static void a_length_out_of_bounds_ends_it(void **state)
{
	struct box box = box_of("{\"qbx\":1,\"id\":\"demo\"}");
	struct outcome o = { 0 };
	struct greet *g;
	int fd = dial(&o, &g, &box, getpid());

	(void)state;
	assert_int_equal(write(fd, "\x00\x01\x00\x01", 4), 4);
	spin(o.loop, 1000);
	assert_true(o.done);
	assert_non_null(strstr(o.err.msg, "length"));
	close(fd);
	loop_free(o.loop);
	box_free(&box);
}

static void another_version_is_told_why(void **state)
{
	struct box box = box_of("{\"qbx\":1,\"id\":\"demo\"}");
	Qemubox__Guest__V1__Boot *b;
	struct outcome o = { 0 };
	struct greet *g;
	uint8_t buf[1024];
	int fd = dial(&o, &g, &box, getpid());
	ssize_t n;

	(void)state;
	n = (ssize_t)make_hello(buf, 9, "6.12");
	assert_int_equal(write(fd, buf, (size_t)n), n);
	spin(o.loop, 1000);
	assert_true(o.done);
	assert_int_equal(o.err.code, EX_DATAERR);
	n = recv(fd, buf, sizeof(buf), 0);
	assert_true(n > 4);
	b = qemubox__guest__v1__boot__unpack(NULL, (size_t)n - 4, buf + 4);
	assert_non_null(b);
	assert_non_null(strstr(b->error, "version 9"));
	assert_int_equal(b->token.len, 0);
	qemubox__guest__v1__boot__free_unpacked(b, NULL);
	close(fd);
	loop_free(o.loop);
	box_free(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_is_cleaned),
		cmocka_unit_test(another_version_and_rubbish_are_refused),
		cmocka_unit_test(the_answer_has_what_the_document_says),
		cmocka_unit_test(a_bad_network_is_found_before_anything_starts),
		cmocka_unit_test(the_guest_is_greeted_when_it_has_closed),
		cmocka_unit_test(a_stranger_is_dropped_and_the_wait_goes_on),
		cmocka_unit_test(a_length_out_of_bounds_ends_it),
		cmocka_unit_test(another_version_is_told_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
