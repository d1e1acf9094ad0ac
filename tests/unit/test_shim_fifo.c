/* SPDX-License-Identifier: Apache-2.0 */
/* The client's FIFOs: when they are opened and closed, and how long an exit waits for them. */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io.h"
#include "qbx-shim/fifo.c"

static char dir[64], in_path[80], out_path[80];
static struct loop *loop;
static struct fifos io;
static struct qbx_err err;
static int guest = -1; /* the other end of stdout's stream */

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_shim_fifo.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(in_path, sizeof(in_path), "%s/in", dir);
	snprintf(out_path, sizeof(out_path), "%s/out", dir);
	loop = loop_new(&err);
	return mkfifo(in_path, 0600) || mkfifo(out_path, 0600) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	fifos_close(&io);
	for (int i = 0; i < FIFO_COUNT; i++)
		free(io.f[i].path);
	if (guest >= 0)
		close(take_fd(&guest));
	loop_free(loop);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static int open_fifos(const char *in, const char *out)
{
	const char *const paths[FIFO_COUNT] = { in, out, "" };

	return fifos_open(&io, loop, paths, &err);
}

/* As if stdout had been dialled. */
static void connect_stdout(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	guest = sv[0];
	io.arg = &io;
	io.dialling = 1;
	on_dialled(&io.f[FIFO_STDOUT], sv[1], NULL);
	assert_non_null(io.f[FIFO_STDOUT].stream);
}

static void send_chunk_of(size_t len, char with)
{
	uint32_t header = htonl((uint32_t)len);
	char *bytes = malloc(len + 1);

	memset(bytes, with, len);
	assert_int_equal(send(guest, &header, 4, 0), 4);
	assert_int_equal(send(guest, bytes, len, 0), len);
	free(bytes);
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static unsigned drain_ms(unsigned stall_ms)
{
	unsigned long long began = io_now_us();

	fifos_drain(&io, stall_ms, stop);
	assert_int_equal(loop_run(loop, &err), 0);
	return (unsigned)((io_now_us() - began) / 1000);
}

static void nothing_named(void **state)
{
	(void)state;
	assert_int_equal(open_fifos("", ""), 0);
	assert_true(drain_ms(10000) < 5000);
}

static void drained_to_the_last_byte(void **state)
{
	char got[8] = "";
	int reader;

	(void)state;
	assert_int_equal(open_fifos("", out_path), 0);
	reader = open(out_path, O_RDONLY | O_NONBLOCK);
	connect_stdout();
	send_chunk_of(5, 'x');
	send_chunk_of(0, 'x');
	assert_true(drain_ms(10000) < 5000);
	assert_int_equal(read(reader, got, sizeof(got)), 5);
	assert_string_equal(got, "xxxxx");
	assert_int_equal(read(reader, got, sizeof(got)), 0);
	close(reader);
}

/* 128 KiB into a FIFO of 64 KiB that nobody reads. */
static void a_stuck_reader_is_given_up(void **state)
{
	unsigned ms;

	(void)state;
	assert_int_equal(open_fifos("", out_path), 0);
	connect_stdout();
	send_chunk_of(65000, 'x');
	send_chunk_of(65000, 'x');
	ms = drain_ms(200);
	assert_true(ms >= 200 && ms < 5000);
	assert_null(io.f[FIFO_STDOUT].stream);
}

static int slow_reader;

static void read_some(void *arg)
{
	char scrap[20000];

	(void)arg;
	if (read(slow_reader, scrap, sizeof(scrap)) > 0)
		assert_non_null(loop_add_timer(loop, 150, read_some, NULL, &err));
}

/* One that takes its time is waited for, longer than the stall as a whole. */
static void a_slow_reader_is_waited_for(void **state)
{
	(void)state;
	assert_int_equal(open_fifos("", out_path), 0);
	slow_reader = open(out_path, O_RDONLY | O_NONBLOCK);
	connect_stdout();
	for (int i = 0; i < 3; i++)
		send_chunk_of(60000, 'x');
	send_chunk_of(0, 'x');
	read_some(NULL);
	assert_true(drain_ms(500) >= 600);
	assert_null(io.f[FIFO_STDOUT].stream);
	close(slow_reader);
}

/* Until Start a client may open it, write and leave, and none of that is lost. */
static void stdin_is_opened_at_start(void **state)
{
	int sv[2], client;
	char got[16];

	(void)state;
	assert_int_equal(open_fifos(in_path, ""), 0);
	assert_int_equal(io.f[FIFO_STDIN].fd, -1);
	assert_int_equal(open(in_path, O_WRONLY | O_NONBLOCK), -1); /* nobody reads yet */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	io.dialling = 1;
	on_dialled(&io.f[FIFO_STDIN], sv[1], NULL);
	assert_int_equal(fifos_start(&io, &err), 0);
	client = open(in_path, O_WRONLY | O_NONBLOCK);
	assert_int_equal(write(client, "hi", 2), 2);
	close(client); /* no end: it may come back */
	assert_non_null(loop_add_timer(loop, 50, stop, NULL, &err));
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(recv(sv[0], got, sizeof(got), MSG_DONTWAIT), 6);
	assert_memory_equal(got, "\0\0\0\2hi", 6);
	fifos_close_stdin(&io); /* now it is */
	assert_non_null(loop_add_timer(loop, 50, stop, NULL, &err));
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(recv(sv[0], got, sizeof(got), MSG_DONTWAIT), 4);
	assert_memory_equal(got, "\0\0\0\0", 4);
	close(sv[0]);
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(open_fifos("", "binary:///bin/logger"), -1);
	assert_int_equal(err.sys, ENOTSUP);
	free(io.f[FIFO_STDIN].path);
	free(io.f[FIFO_STDOUT].path);
	free(io.f[FIFO_STDERR].path);
	assert_int_equal(open_fifos("", "/no/such/fifo"), -1);
	assert_int_equal(err.sys, ENOENT);
}

static void files_are_appended_to(void **state)
{
	char uri[96], *text;
	size_t len;

	(void)state;
	snprintf(uri, sizeof(uri), "file://%s/log", dir);
	assert_int_equal(io_write_file(AT_FDCWD, uri + 7, 0600, "a", 1, &err), 0);
	assert_int_equal(open_fifos("", uri), 0);
	connect_stdout();
	send_chunk_of(2, 'b');
	send_chunk_of(0, 'b');
	assert_true(drain_ms(10000) < 5000);
	assert_int_equal(io_read_file(AT_FDCWD, uri + 7, 10, &text, &len, &err), 0);
	assert_string_equal(text, "abb");
	free(text);
}

#define FIFO_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIFO_TEST(nothing_named),
		FIFO_TEST(drained_to_the_last_byte),
		FIFO_TEST(a_stuck_reader_is_given_up),
		FIFO_TEST(a_slow_reader_is_waited_for),
		FIFO_TEST(stdin_is_opened_at_start),
		FIFO_TEST(refused),
		FIFO_TEST(files_are_appended_to),
	};

	log_open("test", LOG_LEVEL_ERROR, STDERR_FILENO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
