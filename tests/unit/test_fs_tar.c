/* SPDX-License-Identifier: Apache-2.0 */
/* tar headers */
#include "unit.h"

#include "qbx-fs/tar.c"

static void sign(uint8_t b[TAR_BLOCK])
{
	unsigned sum = 0;

	memset(b + CHECKSUM, ' ', CHECKSUM_LEN);
	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += b[i];
	snprintf((char *)b + CHECKSUM, CHECKSUM_LEN, "%06o", sum);
}

static void make(uint8_t b[TAR_BLOCK], const char *name, const char *size)
{
	memset(b, 0, TAR_BLOCK);
	snprintf((char *)b, NAME_LEN, "%s", name);
	snprintf((char *)b + SIZE, SIZE_LEN + 1, "%s", size);
	b[TYPE] = '0';
	snprintf((char *)b + MAGIC, 6, "ustar");
	sign(b);
}

static void test_header(void **state)
{
	uint8_t b[TAR_BLOCK];
	struct tar_header h = { .size = 0 };

	(void)state;
	make(b, "index.json", "00000000017 ");
	assert_int_equal(tar_header_decode(b, &h), 1);
	assert_string_equal(h.name, "index.json");
	assert_int_equal(h.size, 15);
	assert_int_equal(h.type, '0');
	snprintf((char *)b + PREFIX, PREFIX_LEN, "blobs");
	b[TYPE] = '\0';
	sign(b);
	assert_int_equal(tar_header_decode(b, &h), 1);
	assert_string_equal(h.name, "blobs/index.json");
	assert_int_equal(h.type, '0');
}

static void test_longest_name(void **state)
{
	uint8_t b[TAR_BLOCK];
	struct tar_header h = { .size = 0 };

	(void)state;
	make(b, "x", "0");
	memset(b, 'n', NAME_LEN);
	memset(b + PREFIX, 'p', PREFIX_LEN);
	sign(b);
	assert_int_equal(tar_header_decode(b, &h), 1);
	assert_int_equal(strlen(h.name), TAR_NAME_MAX - 1);
}

static void test_base256(void **state)
{
	uint8_t b[TAR_BLOCK];
	struct tar_header h = { .size = 0 };

	(void)state;
	make(b, "big", "");
	b[SIZE] = 0x80;
	b[SIZE + 7] = 2; /* 2 << 32: 8 GiB */
	sign(b);
	assert_int_equal(tar_header_decode(b, &h), 1);
	assert_true(h.size == UINT64_C(2) << 32);
	b[SIZE + 1] = 1;
	sign(b);
	assert_int_equal(tar_header_decode(b, &h), -1);
}

static void test_bad(void **state)
{
	uint8_t b[TAR_BLOCK] = { 0 };
	struct tar_header h = { .size = 0 };

	(void)state;
	assert_int_equal(tar_header_decode(b, &h), 0);
	make(b, "a", "00000000001");
	b[0] = 'b';
	assert_int_equal(tar_header_decode(b, &h), -1);
	make(b, "a", "0000000x001");
	assert_int_equal(tar_header_decode(b, &h), -1);
	make(b, "a", "            ");
	assert_int_equal(tar_header_decode(b, &h), -1);
}

static void test_pax(void **state)
{
	static const char good[] = "12 path=a/b\n18 size=123456789\n23 SCHILY.xattr.x=\nabc\n";
	static const char *const bad[] = {
		"12 path=a/b",	"0 path=a\n", "11 path=a/b\n",	"13 path=a/b\n",
		"12path=a/b\n", " path=a\n",  "99999999 a=b\n", "12 size=1x3\n",
		"7 path\n",	"3 \n",	      "2 \n",
	};
	struct tar_pax pax = { .has_name = 0 };

	(void)state;
	assert_int_equal(tar_pax_decode(good, strlen(good), &pax), 0);
	assert_true(pax.has_name && pax.has_size);
	assert_string_equal(pax.name, "a/b");
	assert_int_equal(pax.size, 123456789);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(tar_pax_decode(bad[i], strlen(bad[i]), &pax), -1);
}

static void test_print_dir(void **state)
{
	static char name[300];
	static struct tar_pax pax;
	uint8_t b[4096] = { 0 };
	struct tar_header h = { .type = 0 };
	size_t n;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	n = tar_print_dir(b, sizeof(b), name, 01750, 4294967294u, 5, 1234567890123);
	assert_int_equal(n, 1536);
	assert_int_equal(tar_header_decode(b, &h), 1);
	assert_int_equal(h.type, 'x');
	assert_int_equal(tar_pax_decode((char *)b + 512, h.size, &pax), 0);
	assert_string_equal(pax.name, name);
	assert_non_null(
		strstr((char *)b + 512, "\n18 uid=4294967294\n8 gid=5\n23 mtime=1234567890123\n"));
	assert_int_equal(tar_header_decode(b + 1024, &h), 1);
	assert_int_equal(h.type, '5');
	assert_string_equal((char *)b + 1024 + 100, "0001750");
	assert_int_equal(h.size, 0);
	assert_int_equal(tar_print_dir(b, 1024, name, 0755, 0, 0, 0), 0);
}

/* A record whose length has as many digits as it takes to count itself. */
static void test_record_length(void **state)
{
	char name[128];
	uint8_t b[4096] = { 0 };
	struct tar_header h = { .type = 0 };
	static struct tar_pax pax;

	(void)state;
	for (size_t len = 1; len < sizeof(name); len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		assert_true(tar_print_dir(b, sizeof(b), name, 0755, 0, 0, 0) > 0);
		assert_int_equal(tar_header_decode(b, &h), 1);
		assert_int_equal(tar_pax_decode((char *)b + 512, h.size, &pax), 0);
		assert_string_equal(pax.name, name);
	}
}

static void test_sparse(void **state)
{
	static struct tar_pax pax;

	(void)state;
	assert_int_equal(tar_pax_decode("22 GNU.sparse.major=1\n", 22, &pax), 0);
	assert_true(pax.sparse);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),	      cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_base256),	      cmocka_unit_test(test_bad),
		cmocka_unit_test(test_pax),	      cmocka_unit_test(test_print_dir),
		cmocka_unit_test(test_record_length), cmocka_unit_test(test_sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
