/* SPDX-License-Identifier: Apache-2.0 */
/* Where a shim listens: the name of the socket, and what may be in its way. */
#include "unit.h"

#include "qbx-shim/address.c"

static char dir[64], sockets[96];
static struct flags f = { .namespace = "default", .id = "demo", .address = "/run/containerd.sock" };

static void write_config(const char *text)
{
	struct qbx_err err = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/config.json", dir);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, text, strlen(text), &err), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_shim_address.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(sockets, sizeof(sockets), "%s/s", dir);
	return 0;
}

static int tear_down(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static void name_is(const char *want)
{
	struct qbx_err err = { 0 };
	struct sockaddr_un un;

	assert_int_equal(address_make(&un, NULL, &f, dir, &err), 0);
	assert_memory_equal(un.sun_path, ADDRESS_DIR "/", sizeof(ADDRESS_DIR));
	assert_string_equal(un.sun_path + sizeof(ADDRESS_DIR), want);
}

/* Digests by sha256sum(1) of the text in the comment. */
static void named_by_digest(void **state)
{
	(void)state;
	/* /run/containerd.sock/default/demo, without a config.json or with one that names no pod */
	name_is("612bdbd5b20ec0e39bfae22f69915b1bdf476a31c20f8bf8679c270cee7874ce");
	write_config("{}");
	name_is("612bdbd5b20ec0e39bfae22f69915b1bdf476a31c20f8bf8679c270cee7874ce");
	write_config("no JSON");
	name_is("612bdbd5b20ec0e39bfae22f69915b1bdf476a31c20f8bf8679c270cee7874ce");
	/* /run/containerd.sock/default/pod */
	write_config("{\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"pod\"}}");
	name_is("fbb903bf77bf4ba8fd792aa526a5c1c5d0fc701eed1cf94e2b717d309a11ab58");
	write_config("{\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"x\","
		     "\"io.containerd.runc.v2.group\":\"pod\"}}");
	name_is("fbb903bf77bf4ba8fd792aa526a5c1c5d0fc701eed1cf94e2b717d309a11ab58");
}

static void doubled_slashes_count_once(void **state)
{
	(void)state;
	f.address = "/run//containerd.sock/";
	name_is("612bdbd5b20ec0e39bfae22f69915b1bdf476a31c20f8bf8679c270cee7874ce");
	f.address = "/run/containerd.sock";
}

static void too_long_is_refused(void **state)
{
	struct qbx_err err = { 0 };
	struct sockaddr_un un;

	(void)state;
	assert_int_equal(address_make(&un, "/a/directory/whose/name/alone/is/as/long/as/a/socket",
				      &f, dir, &err),
			 -1);
	assert_int_equal(err.sys, ENAMETOOLONG);
}

static void listens_once(void **state)
{
	struct qbx_err err = { 0 };
	struct sockaddr_un un;
	struct stat st;
	int fd, second;

	(void)state;
	memset(&un, 0, sizeof(un));
	un.sun_family = AF_UNIX;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/name", sockets);
	fd = address_listen(&un, &err);
	assert_true(fd >= 0);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(address_alive(&un));

	second = address_listen(&un, &err);
	assert_int_equal(second, -1);
	assert_int_equal(err.sys, EADDRINUSE);

	close(fd); /* dead, but in the way */
	assert_false(address_alive(&un));
	fd = address_listen(&un, &err);
	assert_true(fd >= 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(named_by_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(doubled_slashes_count_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_long_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listens_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
