/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "stream.h"

/* What became of the two ends of a stream under test; the loop stops when @open is down to 0. */
struct ends {
	struct loop *loop;
	int open;
	enum stream_end send, recv;
};

static void sent(void *arg, enum stream_end end)
{
	struct ends *e = arg;

	e->send = end;
	if (--e->open == 0)
		loop_stop(e->loop);
}

static void received(void *arg, enum stream_end end)
{
	struct ends *e = arg;

	e->recv = end;
	if (--e->open == 0)
		loop_stop(e->loop);
}

/* Return: the receiving one. */
static struct stream *start(struct ends *e, int src, int dst)
{
	struct qbx_err err = { 0 };
	struct stream *receiver;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	e->loop = loop_new(&err);
	e->open = 2;
	assert_non_null(stream_send(e->loop, src, sv[0], sent, e, &err));
	receiver = stream_recv(e->loop, sv[1], dst, received, e, &err);
	assert_non_null(receiver);
	return receiver;
}

/* A file of @len bytes with a pattern, opened for reading and writing. */
static int temp_file(size_t len)
{
	_cleanup_free_ unsigned char *b = malloc(len + 1);
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (size_t i = 0; i < len; i++)
		b[i] = (unsigned char)(i * 31 + i / 251);
	assert_int_equal(io_write_all(fd, b, len), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void assert_same(int a, int b)
{
	char x[4096], y[4096];
	ssize_t n;

	lseek(a, 0, SEEK_SET);
	lseek(b, 0, SEEK_SET);
	do {
		n = read(a, x, sizeof(x));
		assert_int_equal(read(b, y, sizeof(y)), n);
		assert_memory_equal(x, y, (size_t)n);
	} while (n > 0);
}

static void every_byte_arrives(void **state)
{
	static const size_t sizes[] = { 0, 1, STREAM_WRITE_MAX - 4, STREAM_WRITE_MAX - 3, 3 << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int src = temp_file(sizes[i]), dst = temp_file(0);
		struct qbx_err err = { 0 };
		struct ends e = { 0 };

		start(&e, dup(src), dup(dst));
		assert_int_equal(loop_run(e.loop, &err), 0);
		assert_int_equal(e.send, STREAM_DONE);
		assert_int_equal(e.recv, STREAM_DONE);
		assert_same(src, dst);
		loop_free(e.loop);
		close(src);
		close(dst);
	}
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Held before it has read anything, so nothing comes; then all of it does. */
static void a_stream_that_is_held_goes_on(void **state)
{
	int src = temp_file(100000), dst = temp_file(0), sv[2];
	struct qbx_err err = { 0 };
	struct ends e = { .open = 2 };
	struct stream *sender;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	e.loop = loop_new(&err);
	sender = stream_send(e.loop, dup(src), sv[0], sent, &e, &err);
	assert_non_null(sender);
	assert_non_null(stream_recv(e.loop, sv[1], dup(dst), received, &e, &err));
	stream_hold(sender, true);
	assert_non_null(loop_add_timer(e.loop, 20, stop, e.loop, &err));
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(stream_moved(sender), 0);
	stream_hold(sender, false);
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(e.send, STREAM_DONE);
	assert_int_equal(e.recv, STREAM_DONE);
	assert_same(src, dst);
	loop_free(e.loop);
	close(src);
	close(dst);
}

static void a_sink_that_closes_is_told_on_both_sides(void **state)
{
	struct qbx_err err = { 0 };
	struct ends e = { 0 };
	int p[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	close(p[0]);
	start(&e, temp_file(1 << 20), p[1]);
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(e.recv, STREAM_SINK_GONE);
	assert_int_equal(e.send, STREAM_BROKEN);
	loop_free(e.loop);
}

static void a_sink_that_closes_need_not_be_noticed(void **state)
{
	struct qbx_err err = { 0 };
	struct ends e = { 0 };
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	close(p[0]);
	stream_outlive_sink(start(&e, temp_file(1 << 20), p[1]));
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(e.recv, STREAM_SINK_GONE);
	assert_int_equal(e.send, STREAM_DONE);
	loop_free(e.loop);
}

/* Give raw bytes to a receiver and close. Return: how it ended. */
static enum stream_end feed(const void *bytes, size_t len)
{
	struct qbx_err err = { 0 };
	struct ends e = { .open = 1 };
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	e.loop = loop_new(&err);
	assert_non_null(stream_recv(e.loop, sv[1], temp_file(0), received, &e, &err));
	assert_int_equal(io_write_all(sv[0], bytes, len), 0);
	close(sv[0]);
	assert_int_equal(loop_run(e.loop, &err), 0);
	loop_free(e.loop);
	return e.recv;
}

static void a_close_without_the_mark_is_no_end(void **state)
{
	(void)state;
	assert_int_equal(feed("", 0), STREAM_BROKEN);
	assert_int_equal(feed("\0\0\0", 3), STREAM_BROKEN);
	assert_int_equal(feed("\0\0\0\3ab", 6), STREAM_BROKEN);
	assert_int_equal(feed("\0\0\0\2ab", 6), STREAM_BROKEN);
	assert_int_equal(feed("\0\0\0\2ab\0\0\0\0", 10), STREAM_DONE);
	assert_int_equal(feed("\xff\xff\xff\xff", 4), STREAM_BROKEN);
}

/* A terminal whose other side stays open has an end only when we say so; it is hung up by it. */
static void a_drained_source_ends_where_it_has_no_more(void **state)
{
	_cleanup_free_ char *text = calloc(1, 3000);
	int dst = temp_file(0), master, slave;
	struct qbx_err err = { 0 };
	struct ends e = { .open = 1 };
	struct termios raw;
	struct stream *s;
	struct pollfd p;
	int sv[2];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	memset(text, 'x', 3000);
	assert_int_equal(io_write_all(slave, text, 3000), 0);
	assert_int_equal(io_set_nonblock(master, 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	e.loop = loop_new(&err);
	s = stream_send(e.loop, master, sv[0], sent, &e, &err);
	assert_non_null(s);
	stream_drain(s);
	assert_non_null(stream_recv(e.loop, sv[1], dup(dst), received, &e, &err));
	e.open = 2;
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(e.send, STREAM_DONE);
	assert_int_equal(e.recv, STREAM_DONE);
	assert_int_equal(lseek(dst, 0, SEEK_END), 3000);
	p = (struct pollfd){ slave, 0, 0 };
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(p.revents & POLLHUP);
	loop_free(e.loop);
	close(slave);
	close(dst);
}

static void a_drained_source_that_never_runs_dry_ends(void **state)
{
	int dst = temp_file(0);
	struct qbx_err err = { 0 };
	struct ends e = { .open = 2 };
	struct stream *s;
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	e.loop = loop_new(&err);
	s = stream_send(e.loop, open("/dev/zero", O_RDONLY | O_CLOEXEC), sv[0], sent, &e, &err);
	assert_non_null(s);
	assert_non_null(stream_recv(e.loop, sv[1], dup(dst), received, &e, &err));
	stream_drain(s);
	assert_int_equal(loop_run(e.loop, &err), 0);
	assert_int_equal(e.send, STREAM_DONE);
	assert_int_equal(e.recv, STREAM_DONE);
	assert_int_equal(lseek(dst, 0, SEEK_END), STREAM_DRAIN_MAX);
	loop_free(e.loop);
	close(dst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_arrives),
		cmocka_unit_test(a_stream_that_is_held_goes_on),
		cmocka_unit_test(a_sink_that_closes_is_told_on_both_sides),
		cmocka_unit_test(a_sink_that_closes_need_not_be_noticed),
		cmocka_unit_test(a_close_without_the_mark_is_no_end),
		cmocka_unit_test(a_drained_source_ends_where_it_has_no_more),
		cmocka_unit_test(a_drained_source_that_never_runs_dry_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
