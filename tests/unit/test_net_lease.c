/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: what is written is read again, what is damaged is said, one holder at a time. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "qbx-net/conf.c"
#include "qbx-net/lease.c"

static char dir[] = "/tmp/qbx-lease-XXXXXX";
static struct config cfg = { .state_dir = dir };

static int make_dir(void **state)
{
	struct qbx_err err = { 0 };
	char leases[PATH_MAX];

	(void)state;
	strcpy(strrchr(dir, '-'), "-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(leases, sizeof(leases), "%s/leases", dir);
	return io_mkdirs(leases, 0700, &err);
}

static int remove_dir(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static void a_lease_comes_back_as_it_was(void **state)
{
	_cleanup_(lease_free) struct lease l = { .owned = true, .tap = true }, got;
	struct qbx_err err = { 0 };
	json_t *list = json_loads("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},"
				  "{\"type\":\"b\"}]}",
				  0, NULL);

	(void)state;
	assert_int_equal(conf_take(&l.conf, list, "/etc/x.conflist", &err), 0);
	l.started = 1;
	l.result = json_pack("{s:i}", "r", 1);
	assert_int_equal(lease_write(&cfg, "ns--id", &l, &err), 0);
	assert_int_equal(lease_read(&cfg, "ns--id", &got, &err), 1);
	assert_true(got.owned && got.tap);
	assert_int_equal(got.started, 1);
	assert_int_equal(conf_count(&got.conf), 2);
	assert_string_equal(got.conf.path, "/etc/x.conflist");
	assert_true(json_equal(got.result, l.result));
	assert_null(got.net);
	assert_int_equal(lease_remove(&cfg, "ns--id", &err), 0);
	assert_int_equal(lease_remove(&cfg, "ns--id", &err), 0);
}

static void none_is_no_error(void **state)
{
	struct qbx_err err = { 0 };
	struct lease l;

	(void)state;
	assert_int_equal(lease_read(&cfg, "ns--id", &l, &err), 0);
	assert_int_equal(err.code, 0);
}

static void damaged_ones_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"lease\":2,\"owned\":true,\"tap\":true,\"started\":0}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":1}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":-1}",
		"{\"lease\":1,\"owned\":1,\"tap\":true,\"started\":0}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":0,\"conf\":{}}",
	};
	struct lease l;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/leases/ns--id.json", dir);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		assert_int_equal(io_write_file(AT_FDCWD, path, 0600, bad[i], strlen(bad[i]), &err), 0);
		assert_int_equal(lease_read(&cfg, "ns--id", &l, &err), -1);
		assert_non_null(strstr(err.msg, path));
	}
}

/* Each of many takes the lock, adds one to a file, and lets go: none may be lost. */
static void one_holder_at_a_time(void **state)
{
	enum { PROCESSES = 8, ROUNDS = 50 };
	char path[PATH_MAX], lock_path[PATH_MAX], *text;
	struct qbx_err err = { 0 };
	size_t len;

	(void)state;
	snprintf(path, sizeof(path), "%s/count", dir);
	snprintf(lock_path, sizeof(lock_path), "%s/leases/ns--id.lock", dir);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, "", 0, &err), 0);
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() > 0)
			continue;
		for (int r = 0; r < ROUNDS; r++) {
			_cleanup_(lease_unlock) struct lease_lock lock;
			_cleanup_free_ char *was = NULL;

			if (lease_lock(&cfg, "ns--id", &lock, &err) < 0 ||
			    io_read_file(AT_FDCWD, path, 4096, &was, &len, &err) < 0)
				_exit(1);
			was[len] = 'x';
			if (io_write_file(AT_FDCWD, path, 0600, was, len + 1, &err) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(io_read_file(AT_FDCWD, path, 4096, &text, &len, &err), 0);
	assert_int_equal(len, PROCESSES * ROUNDS);
	free(text);
	assert_int_equal(access(lock_path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lease_comes_back_as_it_was, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(none_is_no_error, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(damaged_ones_are_refused, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(one_holder_at_a_time, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
