/* SPDX-License-Identifier: Apache-2.0 */
/* disk descriptions */
#include "unit.h"

#include "qbx-fs/vmdk.c"

static void test_extents(void **state)
{
	const struct extent v[] = { { "/m.erofs", 16 },
				    { "/a b,c.erofs", 56 },
				    { "/b.erofs", 72 } };
	struct qbx_err err = { 0 };
	char *t = vmdk_text(v, 3, &err);

	(void)state;
	assert_non_null(t);
	assert_non_null(strstr(t, "createType=\"twoGbMaxExtentFlat\"\n"));
	assert_non_null(strstr(t, "\nRW 16 FLAT \"/m.erofs\" 0\nRW 56 FLAT \"/a b,c.erofs\" 0\n"
				  "RW 72 FLAT \"/b.erofs\" 0\n"));
	free(t);
}

static void test_paths(void **state)
{
	char path[EXTENT_PATH_MAX + 2] = "/quote\".erofs";
	const struct extent v[] = { { "/a.erofs", 8 }, { path, 8 } };
	struct qbx_err err = { 0 };
	char *t;

	(void)state;
	assert_null(vmdk_text(v, 2, &err));
	assert_non_null(strstr(err.msg, "VMDK"));
	strcpy(path, "/line\n.erofs");
	assert_null(vmdk_text(v, 2, &err));
	memset(path, 'x', EXTENT_PATH_MAX + 1);
	assert_null(vmdk_text(v, 2, &err));
	path[EXTENT_PATH_MAX] = '\0';
	t = vmdk_text(v, 2, &err);
	assert_non_null(t);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
