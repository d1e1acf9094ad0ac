/* SPDX-License-Identifier: Apache-2.0 */
/* "USER[:GROUP]" of an image */
#include "unit.h"

#include "qbx-fs/passwd.c"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "broken\n"
			     "app:x:1000:1001::/home/app:/bin/sh\n"
			     "7:x:70:71::/:/bin/sh\n"
			     "huge:x:4294967295:1::/:/bin/sh";
static const char group[] = "root:x:0:\nwheel:x:10:root,app\nadm:x:4:app\nappx:x:5:appx\n";

static int who(const char *spec, struct passwd_user *u, struct qbx_err *err)
{
	return passwd_resolve(spec, passwd, group, u, err);
}

static void test_names(void **state)
{
	struct qbx_err err = { 0 };
	struct passwd_user u = { 0 };

	(void)state;
	assert_int_equal(who("app", &u, &err), 0);
	assert_int_equal(u.uid, 1000);
	assert_int_equal(u.gid, 1001);
	assert_int_equal(u.ngroups, 2);
	assert_int_equal(u.groups[0], 10);
	assert_int_equal(u.groups[1], 4);
	assert_int_equal(who("app:adm", &u, &err), 0);
	assert_int_equal(u.gid, 4);
	assert_int_equal(u.ngroups, 0);
	assert_int_equal(who("", &u, &err), 0);
	assert_int_equal(u.uid, 0);
}

/* A name of digits goes before the number; a number that nobody has stands for itself. */
static void test_numbers(void **state)
{
	struct qbx_err err = { 0 };
	struct passwd_user u = { 0 };

	(void)state;
	assert_int_equal(who("1000", &u, &err), 0);
	assert_int_equal(u.gid, 1001);
	assert_int_equal(u.ngroups, 2);
	assert_int_equal(who("7", &u, &err), 0);
	assert_int_equal(u.uid, 70);
	assert_int_equal(who("4242", &u, &err), 0);
	assert_int_equal(u.uid, 4242);
	assert_int_equal(u.gid, 0);
	assert_int_equal(who("4242:99", &u, &err), 0);
	assert_int_equal(u.gid, 99);
}

static void test_bad(void **state)
{
	static const char *const specs[] = {
		"nobody", "app:staff", "huge",	      "4294967295",	     "-1", "0x10", ":",
		":0",	  "app:",      "99999999999", "18446744073709551616"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct qbx_err err = { 0 };
		struct passwd_user u = { 0 };

		assert_int_equal(who(specs[i], &u, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		assert_non_null(strstr(err.msg, "is not in its /etc/"));
	}
}

static void test_needed(void **state)
{
	(void)state;
	assert_false(passwd_needed(""));
	assert_false(passwd_needed("1:2"));
	assert_true(passwd_needed("1"));
	assert_true(passwd_needed("a:2"));
	assert_true(passwd_needed("1:b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
