/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/mountinfo */
#include "unit.h"

#include "qbx-fs/mountinfo.c"

static const char sample[] =
	"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
	"41 22 7:3 / /var/lib/a\\040b/\\134fs ro,relatime shared:2 master:1 - erofs /dev/loop3 ro\n"
	"42 22 0:44 /sub /mnt rw - tmpfs  rw,size=1k\n";

static void test_fields(void **state)
{
	struct qbx_err err = { 0 };
	struct mountinfo m = { 0 };
	char text[sizeof(sample)], *at = text;

	(void)state;
	memcpy(text, sample, sizeof(sample));
	assert_int_equal(mountinfo_next(&at, &m, &err), 1);
	assert_string_equal(m.point, "/");
	assert_int_equal(mountinfo_next(&at, &m, &err), 1);
	assert_int_equal(m.id, 41);
	assert_int_equal(m.major, 7);
	assert_int_equal(m.minor, 3);
	assert_string_equal(m.root, "/");
	assert_string_equal(m.point, "/var/lib/a b/\\fs");
	assert_string_equal(m.fstype, "erofs");
	assert_string_equal(m.source, "/dev/loop3");
	assert_string_equal(m.super_options, "ro");
	assert_int_equal(mountinfo_next(&at, &m, &err), 1);
	assert_string_equal(m.root, "/sub");
	assert_string_equal(m.source, "");
	assert_string_equal(m.super_options, "rw,size=1k");
	assert_int_equal(mountinfo_next(&at, &m, &err), 0);
	assert_int_equal(mountinfo_next(&at, &m, &err), 0);
}

static void test_find(void **state)
{
	struct qbx_err err = { 0 };
	struct mountinfo m = { 0 };
	char text[sizeof(sample)];

	(void)state;
	memcpy(text, sample, sizeof(sample));
	assert_int_equal(mountinfo_find(text, 42, &m, &err), 1);
	assert_string_equal(m.fstype, "tmpfs");
	memcpy(text, sample, sizeof(sample));
	assert_int_equal(mountinfo_find(text, 4, &m, &err), 0);
}

static void test_broken(void **state)
{
	static const char *const lines[] = {
		"x",
		"22 1 254:0 / / rw - ext4",
		"22 1 254:0 / / rw shared:1 ext4 /dev/vda rw",
		"22 1 254 / / rw - ext4 /dev/vda rw",
		"22 1 254:x / / rw - ext4 /dev/vda rw",
		"-2 1 254:0 / / rw - ext4 /dev/vda rw",
		"99999999999999999999999 1 254:0 / / rw - ext4 /dev/vda rw",
		"22 1 99999:0 / / rw - ext4 /dev/vda rw",
		"22 1  / / rw - ext4 /dev/vda rw",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[128], *at = text;
		struct qbx_err err = { 0 };
		struct mountinfo m = { 0 };

		snprintf(text, sizeof(text), "%s\n", lines[i]);
		assert_int_equal(mountinfo_next(&at, &m, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
	}
}

/* Three octal digits of a byte; anything else stays as it is. */
static void test_escapes(void **state)
{
	char a[] = "\\011\\012\\134\\777\\08\\", b[] = "\\\\040";

	(void)state;
	assert_string_equal(unescape(a), "\t\n\\\\777\\08\\");
	assert_string_equal(unescape(b), "\\ ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
