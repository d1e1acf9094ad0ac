/* SPDX-License-Identifier: Apache-2.0 */
/* By how much a guest's clock is to be moved, by what it said and when */
#include "unit.h"

#include "qbx-shim/clock.c"

#define MS INT64_C(1000000)
#define NOW (INT64_C(1700000000) * 1000 * MS)

/* The guest said @guest, asked at NOW and heard of @way_ms later. */
static int64_t offset_ms(int64_t guest, int64_t way_ms)
{
	const struct clock_reading r = { NOW, NOW + way_ms * MS, guest };

	return clock_offset_ns(&r) / MS;
}

static void what_may_be_right_stays(void **state)
{
	(void)state;
	assert_int_equal(offset_ms(NOW, 0), 0);
	assert_int_equal(offset_ms(NOW + 9 * MS, 0), 0);
	assert_int_equal(offset_ms(NOW - 9 * MS, 0), 0);
	/* it may have been asked at any time on the way */
	assert_int_equal(offset_ms(NOW, 1000), 0);
	assert_int_equal(offset_ms(NOW + 1009 * MS, 1000), 0);
}

static void what_is_wrong_is_moved_to_the_middle(void **state)
{
	(void)state;
	assert_int_equal(offset_ms(NOW - 3600000 * MS, 2), 3600001);
	assert_int_equal(offset_ms(NOW + 50 * MS, 0), -50);
	assert_int_equal(offset_ms(NOW - 11 * MS, 0), 11);
}

static void nonsense_moves_nothing(void **state)
{
	(void)state;
	assert_int_equal(offset_ms(0, 0), 0);
	assert_int_equal(offset_ms(-1, 0), 0);
	assert_int_equal(offset_ms(INT64_MIN, 0), 0);
	/* this host's clock was set back between the two */
	assert_int_equal(offset_ms(1, -5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_right_stays),
		cmocka_unit_test(what_is_wrong_is_moved_to_the_middle),
		cmocka_unit_test(nonsense_moves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
