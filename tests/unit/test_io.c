/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "io.h"

static char dir[40];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/qbx-io-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static int open_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void a_file_is_replaced_in_one_step(void **state)
{
	_cleanup_close_ int d = open_dir();
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	struct stat st;
	size_t len;

	(void)state;
	assert_int_equal(io_write_file(d, "f", 0600, "one", 3, &err), 0);
	assert_int_equal(io_write_file(d, "f", 0640, "two!", 4, &err), 0);
	assert_int_equal(io_read_file(d, "f", 4, &text, &len, &err), 0);
	assert_string_equal(text, "two!");
	assert_int_equal(fstatat(d, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(io_write_file(d, "missing/f", 0600, "x", 1, &err), -1);
}

static void reading_stops_at_the_limit(void **state)
{
	_cleanup_close_ int d = open_dir();
	struct qbx_err err = { 0 };
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(io_write_file(d, "f", 0600, "12345", 5, &err), 0);
	assert_int_equal(io_read_file(d, "f", 4, &text, &len, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	assert_null(text);
	assert_int_equal(io_read_file(d, "f", 5, &text, &len, &err), 0);
	assert_int_equal(len, 5);
	free(text);
}

static void a_tree_goes_but_nothing_behind_a_link(void **state)
{
	_cleanup_close_ int d = open_dir();
	struct qbx_err err = { 0 };
	char path[80];

	(void)state;
	snprintf(path, sizeof(path), "%s/tree/a/b", dir);
	assert_int_equal(io_mkdirs(path, 0755, &err), 0);
	assert_int_equal(io_mkdirs(path, 0755, &err), 0);
	assert_int_equal(io_write_file(d, "kept", 0600, "x", 1, &err), 0);
	assert_int_equal(symlinkat("../kept", d, "tree/link"), 0);
	assert_int_equal(symlinkat("..", d, "tree/up"), 0);
	assert_int_equal(io_remove_tree(d, "tree", &err), 0);
	assert_int_equal(faccessat(d, "tree", F_OK, 0), -1);
	assert_int_equal(faccessat(d, "kept", F_OK, 0), 0);
	assert_int_equal(io_remove_tree(d, "tree", &err), 0); /* absent is success */
}

static void one_has_a_lock_and_may_remove_its_file(void **state)
{
	const int how = LOCK_EX | LOCK_NB;
	_cleanup_close_ int d = open_dir(), first = -1, second = -1;
	struct stat st;

	(void)state;
	assert_int_equal(io_open_locked(d, "lock", 0, how), -1);
	assert_int_equal(errno, ENOENT);
	first = io_open_locked(d, "lock", O_CREAT, how);
	assert_true(first >= 0);
	assert_int_equal(io_open_locked(d, "lock", O_CREAT, how), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	/* Whoever comes now has another file. */
	assert_int_equal(unlinkat(d, "lock", 0), 0);
	second = io_open_locked(d, "lock", O_CREAT, how);
	assert_true(second >= 0);
	assert_int_equal(fstat(first, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(fstat(second, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(symlinkat("lock", d, "link"), 0);
	assert_int_equal(io_open_locked(d, "link", O_CREAT, how), -1);
	assert_int_equal(errno, ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_replaced_in_one_step, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_stops_at_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tree_goes_but_nothing_behind_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(one_has_a_lock_and_may_remove_its_file, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
