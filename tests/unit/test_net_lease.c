/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: what is written is read again, what is damaged is said, one holder at a time. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "qbx-net/address.c"
#include "qbx-net/capability.c"
#include "qbx-net/conf.c"
#include "qbx-net/lease.c"
#include "qbx-net/networks.c"
#include "qbx-net/orphan.c"

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

#define LIST                                                                                       \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{\"type\":\"b\"}]" \
	"}"

static void attach(struct lease *l, const char *ifname, const char *tap, size_t started)
{
	struct attachment *at = &l->nets[l->nnets++];
	struct qbx_err err = { 0 };

	assert_int_equal(conf_take(&at->conf, json_loads(LIST, 0, NULL), "/etc/x.conflist", &err),
			 0);
	strcpy(at->ifname, ifname);
	strcpy(at->tap, tap);
	at->started = started;
	at->caps = json_pack("{s:s}", "mac", ifname);
	at->result = json_pack("{s:s}", "r", ifname);
}

static void a_lease_comes_back_as_it_was(void **state)
{
	_cleanup_(lease_free) struct lease l = { .owned = true, .queues = 4 }, got;
	struct qbx_err err = { 0 };

	(void)state;
	attach(&l, "eth0", "tap0", 2);
	attach(&l, "net7", "", 1);
	l.nets[1].args = json_pack("{s:s}", "K", "v");
	strcpy(l.nets[1].name, "eth1");
	assert_int_equal(lease_write(&cfg, "ns--id", &l, &err), 0);
	assert_int_equal(lease_read(&cfg, "ns--id", &got, &err), 1);
	assert_true(got.owned);
	assert_int_equal(got.queues, 4);
	assert_int_equal(got.nnets, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(got.nets[i].ifname, l.nets[i].ifname);
		assert_string_equal(got.nets[i].name, i ? "eth1" : "");
		assert_string_equal(got.nets[i].tap, l.nets[i].tap);
		assert_int_equal(got.nets[i].started, l.nets[i].started);
		assert_int_equal(conf_count(&got.nets[i].conf), 2);
		assert_string_equal(got.nets[i].conf.path, "/etc/x.conflist");
		assert_true(json_equal(got.nets[i].caps, l.nets[i].caps));
		assert_true(json_equal(got.nets[i].result, l.nets[i].result));
	}
	assert_null(got.nets[0].args);
	assert_true(json_equal(got.nets[1].args, l.nets[1].args));
	assert_null(got.net);
	assert_int_equal(lease_remove(&cfg, "ns--id", &err), 0);
	assert_int_equal(lease_remove(&cfg, "ns--id", &err), 0);
}

static void put(const char *text)
{
	struct qbx_err err = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/leases/ns--id.json", dir);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, text, strlen(text), &err), 0);
}

static size_t size(void)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/leases/ns--id.json", dir);
	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* What is read: the TAP of the only network, and whether the lease is complete. */
static void assert_is(const char *tap, bool complete)
{
	_cleanup_(lease_free) struct lease got;
	struct qbx_err err = { 0 };

	assert_int_equal(lease_read(&cfg, "ns--id", &got, &err), 1);
	assert_int_equal(got.nnets, 1);
	assert_string_equal(got.nets[0].tap, tap);
	assert_int_equal(got.net != NULL, complete);
}

static void the_last_whole_one_counts(void **state)
{
	_cleanup_(lease_free) struct lease l = { .owned = true };
	struct rlimit was, little;
	struct qbx_err err = { 0 };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	size_t before;

	(void)state;
	attach(&l, "net0", "", 1);
	assert_int_equal(lease_append(&cfg, "ns--id", &l, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(lease_write(&cfg, "ns--id", &l, &err), 0);
	strcpy(l.nets[0].tap, "tap0");
	assert_int_equal(lease_append(&cfg, "ns--id", &l, &err), 0);
	assert_is("tap0", false);

	/* one that fails midway is as if it had not begun */
	before = size();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little = (struct rlimit){ before + 10, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	strcpy(l.nets[0].tap, "tap1");
	assert_int_equal(lease_append(&cfg, "ns--id", &l, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(size(), before);
	assert_is("tap0", false);

	l.net = json_pack("{s:s}", "netns", "/x");
	assert_int_equal(lease_append(&cfg, "ns--id", &l, &err), 0);
	assert_is("tap1", true);

	/* one whose writer was killed */
	snprintf(path, sizeof(path), "%s/leases/ns--id.json", dir);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"lease\":2,\"owned\":tr", 22), 22);
	assert_is("tap1", true);
	assert_int_equal(lease_write(&cfg, "ns--id", &l, &err), 0);
	assert_true(size() < before);
	assert_is("tap1", true);
}

static void one_of_the_first_version_is_understood(void **state)
{
	_cleanup_(lease_free) struct lease l;
	struct qbx_err err = { 0 };

	(void)state;
	put("{\"lease\":1,\"owned\":true,\"tap\":false,\"started\":0,\"net\":{}}");
	assert_int_equal(lease_read(&cfg, "ns--id", &l, &err), 1);
	assert_int_equal(l.nnets, 0);
	assert_non_null(l.net);
	lease_free(&l);
	put("{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":2,\"result\":{\"r\":1},"
	    "\"conf_path\":\"/etc/x\",\"conf\":" LIST "}");
	assert_int_equal(lease_read(&cfg, "ns--id", &l, &err), 1);
	assert_int_equal(l.nnets, 1);
	assert_string_equal(l.nets[0].ifname, "eth0");
	assert_string_equal(l.nets[0].name, "eth0");
	assert_string_equal(l.nets[0].tap, "tap0");
	assert_string_equal(l.nets[0].conf.name, "n");
	assert_int_equal(l.nets[0].started, 2);
	assert_non_null(l.nets[0].result);
	assert_null(l.net);
}

static void none_is_no_error(void **state)
{
	struct qbx_err err = { 0 };
	struct lease l;

	(void)state;
	assert_int_equal(lease_read(&cfg, "ns--id", &l, &err), 0);
	assert_int_equal(err.code, 0);
}

#define NETWORK(ifname, more)                                                                      \
	"{\"lease\":2,\"owned\":true,\"networks\":[{\"ifname\":\"" ifname "\",\"conf\":" LIST more \
	"}]}"

static void damaged_ones_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"lease\":3,\"owned\":true}",
		"{\"lease\":2,\"owned\":true}",
		"{\"lease\":2,\"owned\":1,\"networks\":[]}",
		"{\"lease\":2,\"owned\":true,\"networks\":[7]}",
		"{\"lease\":2,\"owned\":true,\"networks\":[{},{},{},{},{}]}",
		"{\"lease\":2,\"owned\":true,\"queues\":0,\"networks\":[]}",
		"{\"lease\":2,\"owned\":true,\"queues\":9,\"networks\":[]}",
		NETWORK("eth0", ""),
		NETWORK("eth0", ",\"started\":3"),
		NETWORK("eth0", ",\"started\":1,\"tap\":\"more-than-fifteen\""),
		NETWORK("more-than-fifteen", ",\"started\":1"),
		"{\"lease\":2,\"owned\":true,\"networks\":[{\"ifname\":\"eth0\",\"conf\":{},"
		"\"started\":0}]}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":1}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":-1}",
		"{\"lease\":1,\"owned\":true,\"started\":0}",
		"{\"lease\":1,\"owned\":1,\"tap\":true,\"started\":0}",
		"{\"lease\":1,\"owned\":true,\"tap\":true,\"started\":0,\"conf\":{}}",
	};
	struct lease l;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/leases/ns--id.json", dir);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		put(bad[i]);
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
		cmocka_unit_test_setup_teardown(the_last_whole_one_counts, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(one_of_the_first_version_is_understood, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(none_is_no_error, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(damaged_ones_are_refused, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(one_holder_at_a_time, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
