/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>
#include <sys/mount.h>

#include "qbx-init/mountopt.c"

static struct mountopt parsed(const char *text)
{
	struct mountopt o;
	struct qbx_err err = { 0 };

	assert_int_equal(mountopt_parse(text, &o, &err), 0);
	return o;
}

static void attributes_of_the_mount(void **state)
{
	struct mountopt o = parsed("nosuid");

	(void)state;
	assert_int_equal(o.kind, MOUNTOPT_ATTR);
	assert_int_equal(o.attr, MOUNT_ATTR_NOSUID);
	assert_false(o.clear);
	o = parsed("rw");
	assert_int_equal(o.kind, MOUNTOPT_ATTR);
	assert_int_equal(o.attr, MOUNT_ATTR_RDONLY);
	assert_true(o.clear);
}

static void options_of_the_file_system(void **state)
{
	struct mountopt o = parsed("lowerdir=a:b=c");

	(void)state;
	assert_int_equal(o.kind, MOUNTOPT_STRING);
	assert_string_equal(o.name, "lowerdir");
	assert_string_equal(o.value, "a:b=c");
	o = parsed("userxattr");
	assert_int_equal(o.kind, MOUNTOPT_FLAG);
	assert_string_equal(o.name, "userxattr");
	o = parsed("size=");
	assert_int_equal(o.kind, MOUNTOPT_STRING);
	assert_string_equal(o.value, "");
	assert_int_equal(parsed("loop").kind, MOUNTOPT_NOTHING);
}

static void options_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",	"=x",	   "rbind",
		"bind", "remount", "a-name-that-is-longer-than-any-option-there-is=1"
	};
	struct mountopt o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		assert_int_equal(mountopt_parse(bad[i], &o, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
	}
}

static void paths_beneath(void **state)
{
	char longest[257];

	(void)state;
	assert_true(path_is_beneath("rootfs"));
	assert_true(path_is_beneath("rw/upper"));
	assert_true(path_is_beneath("..a/.b"));
	assert_false(path_is_beneath(""));
	assert_false(path_is_beneath("/rootfs"));
	assert_false(path_is_beneath("a/"));
	assert_false(path_is_beneath("a//b"));
	assert_false(path_is_beneath("."));
	assert_false(path_is_beneath("a/../b"));
	assert_false(path_is_beneath(".."));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[256] = '\0';
	assert_false(path_is_beneath(longest));
	assert_true(path_is_beneath(longest + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_of_the_mount),
		cmocka_unit_test(options_of_the_file_system),
		cmocka_unit_test(options_that_are_none),
		cmocka_unit_test(paths_beneath),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
