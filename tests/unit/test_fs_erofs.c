/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS superblocks and device slots */
#include "unit.h"

#include "qbx-fs/erofs.c"

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

/* An image of 7 blocks of 4 KiB. */
static void plain(uint8_t b[EROFS_SUPER_LEN])
{
	memset(b, 0, EROFS_SUPER_LEN);
	put32(b, 0xe0f5e1e2);
	b[12] = 12;
	b[14] = 36; /* the root's number, unless the image is a large one */
	put32(b + 36, 7);
	b[86] = 3; /* means nothing yet */
}

static void test_plain(void **state)
{
	uint8_t b[EROFS_SUPER_LEN];
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };

	(void)state;
	plain(b);
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_int_equal(sb.block_bits, 12);
	assert_int_equal(sb.blocks, 7);
	assert_int_equal(sb.devices, 0);
}

static void test_devices(void **state)
{
	uint8_t b[EROFS_SUPER_LEN];
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };

	(void)state;
	plain(b);
	put32(b + 80, 0x08);
	b[88] = 10;
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_int_equal(sb.devices, 3);
	assert_int_equal(sb.slots_offset, 1280);
	put32(b + 80, 0x88);
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_true(sb.blocks == 7 + (UINT64_C(36) << 32));
}

static void test_bad(void **state)
{
	uint8_t b[EROFS_SUPER_LEN];
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };

	(void)state;
	plain(b);
	b[0] ^= 1;
	assert_int_equal(erofs_super_decode(b, &sb, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	plain(b);
	b[12] = 8;
	assert_int_equal(erofs_super_decode(b, &sb, &err), -1);
	b[12] = 17;
	assert_int_equal(erofs_super_decode(b, &sb, &err), -1);
	plain(b);
	put32(b + 36, 0);
	assert_int_equal(erofs_super_decode(b, &sb, &err), -1);
}

static void test_slot(void **state)
{
	uint8_t b[EROFS_SLOT_LEN] = { 0 };
	struct erofs_slot s;

	(void)state;
	put32(b + 64, 9);
	put32(b + 68, 11);
	b[72] = 1;
	b[75] = 1;
	erofs_slot_decode(b, &s);
	assert_true(s.blocks == 9 + (UINT64_C(1) << 32));
	assert_true(s.start == 11 + (UINT64_C(1) << 40));
}

static void test_unsupported(void **state)
{
	uint8_t b[EROFS_SUPER_LEN];
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };

	(void)state;
	plain(b);
	put32(b + 80, 0x77);
	b[84] = 0x0f;
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_null(erofs_unsupported(&sb));
	b[84] = 0x10;
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_non_null(strstr(erofs_unsupported(&sb), "compression"));
	put32(b + 80, 0x80);
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_string_equal(erofs_unsupported(&sb), "48bit");
	put32(b + 80, 0x100);
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_string_equal(erofs_unsupported(&sb), "metabox");
	put32(b + 80, 0x80000000);
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_non_null(erofs_unsupported(&sb));
	put32(b + 80, 0);
	b[12] = 13;
	assert_int_equal(erofs_super_decode(b, &sb, &err), 0);
	assert_non_null(strstr(erofs_unsupported(&sb), "blocks"));
}

static void test_inode(void **state)
{
	uint8_t b[EROFS_INODE_SIZE] = { 4, 0, 3, 0, 0xed, 0x41 };
	struct qbx_err err = { 0 };
	struct erofs_inode i;

	(void)state;
	b[8] = 99;
	b[16] = 5;
	b[24] = 7;
	b[26] = 8;
	assert_int_equal(erofs_inode_decode(b, 1234, &i, &err), 0);
	assert_int_equal(i.mode, 040755);
	assert_int_equal(i.size, 99);
	assert_int_equal(i.where, 5);
	assert_int_equal(i.uid, 7);
	assert_int_equal(i.gid, 8);
	assert_int_equal(i.mtime, 1234);
	assert_int_equal(i.tail, 32 + 12 + 8);
	b[0] = 5;
	b[2] = 0;
	b[28] = 9;
	b[32] = 10;
	assert_int_equal(erofs_inode_decode(b, 1234, &i, &err), 0);
	assert_int_equal(i.uid, 7 + (8 << 16));
	assert_int_equal(i.gid, 9);
	assert_int_equal(i.mtime, 10);
	assert_int_equal(i.tail, 64);
	b[0] = 2; /* a compressed directory */
	assert_int_equal(erofs_inode_decode(b, 1234, &i, &err), -1);
}

static void test_dir(void **state)
{
	uint8_t b[64] = { 0 };
	struct qbx_err err = { 0 };
	uint64_t n = 0;

	(void)state;
	b[0] = 40;
	b[8] = 24;
	b[12] = 41;
	b[20] = 25;
	memcpy(b + 24, (const char[]){ 'a', 'b', 'c' }, 3); /* no NUL follows */
	assert_int_equal(erofs_dir_find(b, sizeof(b), "a", 1, &n, &err), 1);
	assert_int_equal(n, 40);
	assert_int_equal(erofs_dir_find(b, sizeof(b), "bc", 2, &n, &err), 1);
	assert_int_equal(n, 41);
	assert_int_equal(erofs_dir_find(b, sizeof(b), "b", 1, &n, &err), 0);
	assert_int_equal(erofs_dir_find(b, 27, "bc", 2, &n, &err), 1);
	assert_int_equal(erofs_dir_find(b, 20, "bc", 2, &n, &err), -1);
	assert_int_equal(erofs_dir_find(b, 0, "bc", 2, &n, &err), -1);
	b[20] = 24; /* a name without bytes */
	assert_int_equal(erofs_dir_find(b, sizeof(b), "x", 1, &n, &err), -1);
	b[20] = 70; /* behind the end */
	assert_int_equal(erofs_dir_find(b, sizeof(b), "x", 1, &n, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	    cmocka_unit_test(test_devices),
		cmocka_unit_test(test_bad),	    cmocka_unit_test(test_slot),
		cmocka_unit_test(test_unsupported), cmocka_unit_test(test_inode),
		cmocka_unit_test(test_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
