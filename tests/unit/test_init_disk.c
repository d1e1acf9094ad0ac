/* SPDX-License-Identifier: Apache-2.0 */
/* what the host calls disks and parts of them */
#include "unit.h"

#include "qbx-init/diskname.c"

static void test_whole(void **state)
{
	struct qbx_err err = { 0 };
	struct disk_name n;

	(void)state;
	assert_int_equal(disk_name_parse("root", &n, &err), 0);
	assert_string_equal(n.serial, "root");
	assert_int_equal(n.part.number, 0);
}

static void test_part(void **state)
{
	struct qbx_err err = { 0 };
	struct disk_name n;

	(void)state;
	assert_int_equal(disk_name_parse("layers0/255@0+8", &n, &err), 0);
	assert_string_equal(n.serial, "layers0");
	assert_int_equal(n.part.number, 255);
	assert_true(n.part.start == 0 && n.part.sectors == 8);
	assert_int_equal(disk_name_parse("a/1@18014398509481000+983", &n, &err), 0);
	assert_true(n.part.start == UINT64_C(18014398509481000));
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"/1@0+8",
		"a/",
		"a/0@0+8",
		"a/256@0+8",
		"a/1",
		"a/1@0",
		"a/1@0+",
		"a/1@0+0",
		"a/1@0+8 ",
		"a/1@-1+8",
		"a/01@0+8",
		"a/1@00+8",
		"a/1/2@0+8",
		"a/1@0+8+",
		"a/ 1@0+8",
		"a/1@0+18014398509481984",
		"a/1@18014398509481000+984",
		"a/1@0+99999999999999999999999",
	};
	struct qbx_err err = { 0 };
	struct disk_name n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(disk_name_parse(bad[i], &n, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_part),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
