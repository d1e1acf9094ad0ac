/* SPDX-License-Identifier: Apache-2.0 */
/* A console's log that grows, and what is left of it */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "console.h"
#include "io.h"

#define MAX 4096u

static char dir[] = "/tmp/qbx-console-XXXXXX";
static int dirfd_ = -1, guest = -1;

static off_t size_of(const char *name)
{
	struct stat st;

	return fstatat(dirfd_, name, &st, 0) < 0 ? -1 : st.st_size;
}

static void write_lines(unsigned from, unsigned n)
{
	char line[33];

	for (unsigned i = from; i < from + n; i++) {
		snprintf(line, sizeof(line), "%031u\n", i);
		assert_int_equal(io_write_all(guest, line, 32), 0);
	}
}

static void stop(void *arg)
{
	loop_stop(arg);
}

/* Let the loop run for that long. */
static void pass(struct loop *loop, unsigned ms)
{
	struct qbx_err err = { 0 };

	assert_non_null(loop_add_timer(loop, ms, stop, loop, &err));
	assert_int_equal(loop_run(loop, &err), 0);
}

static void a_log_that_grows_is_kept_below_its_size(void **state)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);
	struct console *c = console_keep(loop, dirfd_, MAX, &err);
	char tail[2 * MAX + 1];

	(void)state;
	assert_non_null(c);
	write_lines(0, 10);
	pass(loop, 3 * CONSOLE_REST_MS);
	assert_int_equal(size_of(CONSOLE_LOG), 320);
	assert_int_equal(size_of(CONSOLE_OLD), -1);
	/* beyond: the newest bytes are the old log now, and the new one is empty */
	write_lines(10, 290);
	pass(loop, 3 * CONSOLE_REST_MS);
	assert_int_equal(size_of(CONSOLE_LOG), 0);
	assert_int_equal(size_of(CONSOLE_OLD), MAX);
	/* who appends goes on at the beginning, and the tail spans both */
	write_lines(300, 2);
	pass(loop, 3 * CONSOLE_REST_MS);
	assert_int_equal(size_of(CONSOLE_LOG), 64);
	console_tail(dirfd_, tail, sizeof(tail));
	assert_int_equal(strlen(tail), MAX + 64);
	assert_int_equal(strtoul(tail, NULL, 10), 302 - (MAX + 64) / 32);
	assert_int_equal(strtoul(tail + MAX + 32, NULL, 10), 301);
	console_tail(dirfd_, tail, 100);
	assert_int_equal(strlen(tail), 99);
	assert_string_equal(tail + 99 - 32, "0000000000000000000000000000301\n");
	/* again: the old one is replaced */
	write_lines(302, 200);
	pass(loop, 3 * CONSOLE_REST_MS);
	assert_int_equal(size_of(CONSOLE_OLD), MAX);
	console_tail(dirfd_, tail, sizeof(tail));
	assert_int_equal(strtoul(tail + MAX - 32, NULL, 10), 501);
	console_free(c);
	loop_free(loop);
}

/* Time passes in which writes come one after the other, and none of them wakes anybody. */
static void a_flood_is_looked_at_now_and_then(void **state)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);
	struct console *c = console_keep(loop, dirfd_, MAX, &err);

	(void)state;
	assert_non_null(c);
	for (int i = 0; i < 20; i++) {
		write_lines(0, 100);
		pass(loop, CONSOLE_REST_MS / 10);
	}
	pass(loop, 3 * CONSOLE_REST_MS);
	assert_true(size_of(CONSOLE_LOG) + size_of(CONSOLE_OLD) <= 2 * MAX);
	console_free(c);
	loop_free(loop);
}

static void what_was_too_large_before_is_cut_at_once(void **state)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);
	struct console *c;

	(void)state;
	write_lines(0, 1000);
	c = console_keep(loop, dirfd_, MAX, &err);
	assert_non_null(c);
	assert_int_equal(size_of(CONSOLE_LOG), 0);
	assert_int_equal(size_of(CONSOLE_OLD), MAX);
	console_free(c);
	loop_free(loop);
}

static void nothing_is_a_tail_too(void **state)
{
	char tail[64];

	(void)state;
	unlinkat(dirfd_, CONSOLE_OLD, 0);
	assert_int_equal(ftruncate(guest, 0), 0);
	console_tail(dirfd_, tail, sizeof(tail));
	assert_string_equal(tail, "");
	assert_int_equal(write(guest, "a\0b\n", 4), 4);
	console_tail(dirfd_, tail, sizeof(tail));
	assert_string_equal(tail, "a b\n");
}

static int make_log(void **state)
{
	(void)state;
	unlinkat(dirfd_, CONSOLE_OLD, 0);
	guest = openat(dirfd_, CONSOLE_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		       0600);
	return guest < 0 ? -1 : 0;
}

static int close_log(void **state)
{
	(void)state;
	return close(guest);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	close(dirfd_);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, make_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LOG(a_log_that_grows_is_kept_below_its_size),
		WITH_LOG(a_flood_is_looked_at_now_and_then),
		WITH_LOG(what_was_too_large_before_is_cut_at_once),
		WITH_LOG(nothing_is_a_tail_too),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
