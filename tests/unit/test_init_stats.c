/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest reads from the kernel: numbers in text. */
#include "unit.h"

#include "qbx-init/field.c"

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
		cmocka_unit_test(numbers_in_text),
		cmocka_unit_test(numbers_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
