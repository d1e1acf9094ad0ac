/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest reads from the kernel: lists of processors, and numbers in text. */
#include "unit.h"

#include "qbx-init/cpulist.c"
#include "qbx-init/field.c"

static void lists_of_processors(void **state)
{
	static const struct {
		const char *text;
		uint64_t set;
	} good[] = {
		{ "0\n", 1 },
		{ "0-3\n", 0xf },
		{ "0,2-3,7\n", 0x8d },
		{ "\n", 0 },
		{ "", 0 },
		{ "63\n", UINT64_C(1) << 63 },
		{ "0-63", ~UINT64_C(0) },
	};
	static const char *const bad[] = { "64", "0-64", "3-1", "a",	"0,",
					   "0-", "0 1",	 "-1",	"0\n1", "99999999999999999999" };
	uint64_t set;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(cpulist_parse(good[i].text, &set), 0);
		assert_true(set == good[i].set);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cpulist_parse(bad[i], &set), -1);
}

static void numbers_in_text(void **state)
{
	static const char psi[] = "some avg10=0.00 avg60=0.01 avg300=0.00 total=4242\n"
				  "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
	uint64_t n;

	(void)state;
	assert_int_equal(field_number(psi, "some", "total=", &n), 0);
	assert_int_equal(n, 4242);
	assert_int_equal(field_number(psi, "full", "total=", &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(
		field_number("MemFree: 1 kB\nMemAvailable:   309712 kB\n", "MemAvailable:", "", &n),
		0);
	assert_int_equal(n, 309712);
	assert_int_equal(field_number("usage_usec 12\nuser_usec 3\n", "usage_usec", "", &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(field_number("1048576\n", NULL, "", &n), 0);
	assert_int_equal(n, 1048576);
}

static void numbers_that_are_not_there(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(field_number("max\n", NULL, "", &n), -1);
	assert_int_equal(field_number("", NULL, "", &n), -1);
	assert_int_equal(field_number("some total=\nfull total=1\n", "some", "total=", &n), -1);
	assert_int_equal(field_number("some\nfull total=1\n", "some", "total=", &n), -1);
	assert_int_equal(field_number("full total=1\n", "some", "total=", &n), -1);
	assert_int_equal(field_number("-5\n", NULL, "", &n), -1);
	assert_int_equal(field_number("99999999999999999999\n", NULL, "", &n), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_processors),
		cmocka_unit_test(numbers_in_text),
		cmocka_unit_test(numbers_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
