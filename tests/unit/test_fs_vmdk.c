/* SPDX-License-Identifier: Apache-2.0 */
/* disk descriptions */
#include "unit.h"

#include "qbx-fs/erofs.c"
#include "qbx-fs/merge.c"

/* merge.c calls these, but what is tested here does not. */
int mkfs_merge(const struct cache *c, const struct layers *l, struct layer *out,
	       struct qbx_err *err)
{
	(void)c, (void)l, (void)out, (void)err;
	return -1;
}

int cache_make(const struct cache *c, const char *name, cache_build_fn *build, void *arg,
	       struct qbx_err *err)
{
	(void)c, (void)name, (void)build, (void)arg, (void)err;
	return -1;
}

char *cache_path(const struct cache *c, const char *name, struct qbx_err *err)
{
	(void)c, (void)name, (void)err;
	return NULL;
}

bool cache_has(const struct cache *c, const char *name)
{
	(void)c, (void)name;
	return false;
}

void plan_line(const char *fmt, ...)
{
	(void)fmt;
}

static char path_a[600] = "/a b,c.erofs", path_b[] = "/b.erofs", path_m[] = "/m.erofs";

static char *text(uint64_t start_b, unsigned bits_b, struct qbx_err *err)
{
	struct layer v[] = { { .path = path_a, .sb = { .block_bits = 12, .blocks = 7 } },
			     { .path = path_b, .sb = { .block_bits = bits_b, .blocks = 9 } } };
	const struct layers l = { v, 2 };
	const struct layer meta = { .path = path_m, .st.st_size = 8192, .sb.block_bits = 12 };
	const struct erofs_slot slots[] = { { 7, 2 }, { 9, start_b } };

	return vmdk_text(&meta, slots, &l, err);
}

static void test_extents(void **state)
{
	struct qbx_err err = { 0 };
	char *t = text(9, 12, &err);

	(void)state;
	assert_non_null(t);
	assert_non_null(strstr(t, "createType=\"twoGbMaxExtentFlat\"\n"));
	assert_non_null(strstr(t, "\nRW 16 FLAT \"/m.erofs\" 0\nRW 56 FLAT \"/a b,c.erofs\" 0\n"
				  "RW 72 FLAT \"/b.erofs\" 0\n"));
	free(t);
}

static void test_gap(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	assert_null(text(10, 12, &err));
	assert_non_null(strstr(err.msg, "does not fit"));
	assert_null(text(9, 9, &err));
}

static void test_paths(void **state)
{
	struct qbx_err err = { 0 };
	char saved[sizeof(path_a)];

	(void)state;
	memcpy(saved, path_a, sizeof(saved));
	strcpy(path_a, "/quote\".erofs");
	assert_null(text(9, 12, &err));
	assert_non_null(strstr(err.msg, "VMDK"));
	strcpy(path_a, "/line\n.erofs");
	assert_null(text(9, 12, &err));
	memset(path_a, 'x', EXTENT_PATH_MAX + 1);
	path_a[EXTENT_PATH_MAX + 1] = '\0';
	assert_null(text(9, 12, &err));
	memcpy(path_a, saved, sizeof(saved));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
