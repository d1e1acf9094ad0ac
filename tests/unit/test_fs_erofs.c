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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
