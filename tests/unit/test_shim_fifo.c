/* SPDX-License-Identifier: Apache-2.0 */
/* What a client names as stdio: when it is opened and closed, and how long an exit waits for it. */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io.h"
#include "qbx-shim/fifo.c"
#include "qbx-shim/logger.c"
#include "qbx-shim/uri.c"

static char dir[64], in_path[80], out_path[80], uri[400];
static struct loop *loop;
static struct fifos io;
static struct qbx_err err;
static int guests[FIFO_COUNT] = { -1, -1, -1 }; /* the other ends of the streams */
#define guest guests[FIFO_STDOUT]

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_shim_fifo.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(in_path, sizeof(in_path), "%s/in", dir);
	snprintf(out_path, sizeof(out_path), "%s/out", dir);
	loop = loop_new(&err);
	fifos_init(&io, loop);
	io.id = "unit";
	io.namespace = "tests";
	return mkfifo(in_path, 0600) || mkfifo(out_path, 0600) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	fifos_close(&io);
	for (int i = 0; i < FIFO_COUNT; i++)
		free(io.f[i].path);
	for (int i = 0; i < FIFO_COUNT; i++)
		if (guests[i] >= 0)
			close(take_fd(&guests[i]));
	loop_free(loop);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static int open_all(const char *in, const char *out, const char *errs)
{
	const char *const paths[FIFO_COUNT] = { in, out, errs };

	return fifos_open(&io, loop, paths, &err);
}

static int open_fifos(const char *in, const char *out)
{
	return open_all(in, out, "");
}

/* As if it had been dialled. */
static void connect_output(int which)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
	guests[which] = sv[0];
	io.arg = &io;
	io.dialling++;
	on_dialled(&io.f[which], sv[1], NULL);
	assert_non_null(io.f[which].stream);
}

static void connect_stdout(void)
{
	connect_output(FIFO_STDOUT);
}

static void send_chunk(int which, size_t len, char with)
{
	uint32_t header = htonl((uint32_t)len);
	char *bytes = malloc(len + 1);

	memset(bytes, with, len);
	assert_int_equal(send(guests[which], &header, 4, 0), 4);
	assert_int_equal(send(guests[which], bytes, len, 0), len);
	free(bytes);
}

static void send_chunk_of(size_t len, char with)
{
	send_chunk(FIFO_STDOUT, len, with);
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
	static const struct {
		const char *in, *out;
		int sys, code;
	} cases[] = {
		{ "", "http:///x", ENOTSUP, EX_UNAVAILABLE },
		{ "binary:///bin/cat", "", ENOTSUP, EX_UNAVAILABLE },
		{ "", "/no/such/fifo", ENOENT, EX_UNAVAILABLE },
		{ "", "binary:///no/such/logger", ENOENT, EX_UNAVAILABLE },
		{ "", "file://host/log", 0, EX_DATAERR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(open_fifos(cases[i].in, cases[i].out), -1);
		assert_int_equal(err.sys, cases[i].sys);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.msg, "std"));
		memset(&err, 0, sizeof(err));
		fifos_close(&io);
		for (int k = 0; k < FIFO_COUNT; k++)
			free(io.f[k].path);
		fifos_init(&io, loop);
	}
}

/* What a file in the directory holds; the caller frees it. */
static char *contents(const char *name)
{
	char path[120], *text;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 20, &text, &len, &err), 0);
	return text;
}

static void assert_holds(const char *name, const char *want)
{
	_cleanup_free_ char *text = contents(name);

	assert_string_equal(text, want);
}

static void files_are_appended_to(void **state)
{
	(void)state;
	snprintf(uri, sizeof(uri), "file://%s/log", dir);
	assert_int_equal(io_write_file(AT_FDCWD, uri + 7, 0600, "a", 1, &err), 0);
	assert_int_equal(open_fifos("", uri), 0);
	connect_stdout();
	send_chunk_of(2, 'b');
	send_chunk_of(0, 'b');
	assert_true(drain_ms(10000) < 5000);
	assert_holds("log", "abb");
}

/* In a directory that is made, by a name that is encoded, and only one file is open. */
static void a_file_is_shared(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct stat out, errs;

	(void)state;
	snprintf(uri, sizeof(uri), "file://%s/new/er/a%%20log", dir);
	assert_int_equal(open_all("", uri, uri), 0);
	assert_int_equal(fstat(io.f[FIFO_STDOUT].fd, &out), 0);
	assert_int_equal(fstat(io.f[FIFO_STDERR].fd, &errs), 0);
	assert_int_equal(out.st_ino, errs.st_ino);
	connect_output(FIFO_STDOUT);
	connect_output(FIFO_STDERR);
	send_chunk(FIFO_STDOUT, 2, 'o');
	send_chunk(FIFO_STDOUT, 0, 'o');
	send_chunk(FIFO_STDERR, 2, 'e');
	send_chunk(FIFO_STDERR, 0, 'e');
	assert_true(drain_ms(10000) < 5000);
	text = contents("new/er/a log");
	assert_int_equal(strlen(text), 4);
}

/* A full disk: the process is not to notice. */
static void a_full_file_drops_the_rest(void **state)
{
	(void)state;
	assert_int_equal(open_fifos("", "file:///dev/full"), 0);
	connect_stdout();
	for (int i = 0; i < 4; i++)
		send_chunk_of(1000, 'x');
	send_chunk_of(0, 'x');
	assert_true(drain_ms(10000) < 5000);
	assert_int_equal(send(guest, "", 1, MSG_NOSIGNAL), -1); /* closed after the end mark */
}

static void a_terminal_has_no_stderr(void **state)
{
	uint32_t numbers[FIFO_COUNT];

	(void)state;
	io.terminal = true;
	assert_int_equal(open_all("", out_path, "/no/such/fifo"), 0);
	assert_int_equal(io.f[FIFO_STDERR].fd, -1);
	assert_string_equal(io.f[FIFO_STDERR].path, "/no/such/fifo");
	fifos_numbers(&io, numbers);
	assert_int_equal(numbers[FIFO_STDERR], 0);
}

/* ---- loggers: /bin/sh with a script of ours, in which DIR is the directory ---- */

static const char *logger(const char *script)
{
	char *to = uri + sprintf(uri, "binary:///bin/sh?-c=");

	for (; *script; script++) {
		if (!strncmp(script, "DIR", 3)) {
			to += sprintf(to, "%s", dir);
			script += 2;
		} else {
			to += sprintf(to, "%%%02X", (unsigned char)*script);
		}
	}
	return uri;
}

static bool came;
static struct qbx_err came_err;

static void on_came(void *arg, const struct qbx_err *e)
{
	(void)arg;
	came = true;
	memset(&came_err, 0, sizeof(came_err));
	if (e)
		came_err = *e;
	loop_stop(loop);
}

/* Wait as fifos_dial() does. */
static void await_logger(unsigned ms)
{
	came = false;
	io.dialled = on_came;
	io.dialling++;
	assert_int_equal(logger_await(io.f[FIFO_STDOUT].logger, ms, on_logger_ready, &err), 0);
	assert_int_equal(loop_run(loop, &err), 0);
	assert_true(came);
}

static void a_logger_gets_both_to_their_ends(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	logger("exec 5>&-; cat <&3 >DIR/stdout & cat <&4 >DIR/stderr; wait; env | sort >DIR/env");
	setenv("QBX_SECRET", "1", 1);
	assert_int_equal(open_all("", uri, uri), 0);
	await_logger(10000);
	assert_int_equal(came_err.code, 0);
	assert_null(io.f[FIFO_STDERR].logger);
	connect_output(FIFO_STDOUT);
	connect_output(FIFO_STDERR);
	send_chunk(FIFO_STDOUT, 3, 'o');
	send_chunk(FIFO_STDERR, 3, 'e');
	send_chunk(FIFO_STDERR, 0, 'e');
	send_chunk(FIFO_STDOUT, 0, 'o');
	assert_true(drain_ms(10000) < 5000);
	assert_true(logger_ended(io.f[FIFO_STDOUT].logger)); /* so this is all there is */
	assert_holds("stdout", "ooo");
	assert_holds("stderr", "eee");
	text = contents("env");
	assert_non_null(strstr(text, "CONTAINER_ID=unit\nCONTAINER_NAMESPACE=tests\n"));
	assert_non_null(strstr(text, "PATH="));
	assert_null(strstr(text, "QBX_SECRET"));
}

static void one_output_alone_leaves_the_other_ended(void **state)
{
	(void)state;
	logger("echo x >&5; cat <&4 >DIR/stderr; cat <&3 >DIR/stdout");
	assert_int_equal(open_all("", uri, ""), 0);
	await_logger(10000);
	connect_stdout();
	send_chunk_of(2, 'o');
	send_chunk_of(0, 'o');
	assert_true(drain_ms(10000) < 5000);
	assert_holds("stdout", "oo");
	assert_holds("stderr", "");
}

static void a_logger_that_is_never_ready(void **state)
{
	(void)state;
	assert_int_equal(open_fifos("", logger("exec cat <&3 >/dev/null")), 0);
	await_logger(100);
	assert_int_equal(came_err.sys, ETIMEDOUT);
	assert_non_null(strstr(came_err.msg, "/bin/sh: not ready after 100 ms"));
}

/* Its end counts as ready, and what comes then goes nowhere. */
static void a_logger_that_dies_early(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(open_fifos("", logger("exit 3")), 0);
	await_logger(10000);
	assert_int_equal(came_err.code, 0);
	connect_stdout();
	for (int i = 0; i < 3; i++)
		send_chunk_of(60000, 'x');
	send_chunk_of(0, 'x');
	assert_true(drain_ms(10000) < 5000);
	assert_int_equal(send(guest, "", 1, MSG_NOSIGNAL), -1);
}

static void a_logger_that_does_not_end_is_not_waited_for(void **state)
{
	unsigned ms;

	(void)state;
	logger("exec 5>&-; cat <&3 >/dev/null; echo over >DIR/log; read -r line <DIR/in");
	assert_int_equal(open_fifos("", uri), 0);
	await_logger(10000);
	connect_stdout();
	send_chunk_of(2, 'x');
	send_chunk_of(0, 'x');
	ms = drain_ms(200);
	assert_true(ms >= 200 && ms < 5000);
	assert_null(io.f[FIFO_STDOUT].logger);
	assert_holds("log", "over\n"); /* it runs, and this is its last line */
	close(open(in_path, O_WRONLY));
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
		FIFO_TEST(a_file_is_shared),
		FIFO_TEST(a_full_file_drops_the_rest),
		FIFO_TEST(a_terminal_has_no_stderr),
		FIFO_TEST(a_logger_gets_both_to_their_ends),
		FIFO_TEST(one_output_alone_leaves_the_other_ended),
		FIFO_TEST(a_logger_that_is_never_ready),
		FIFO_TEST(a_logger_that_dies_early),
		FIFO_TEST(a_logger_that_does_not_end_is_not_waited_for),
	};

	log_open("test", LOG_LEVEL_ERROR, STDERR_FILENO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
