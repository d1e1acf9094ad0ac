/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of processors, of few and of as many as Linux knows. */
#include "unit.h"

#include "lib/cpulist.c"

#include "cleanup.h"

static void lists_are_sets(void **state)
{
	static const struct {
		const char *text;
		uint64_t set;
	} good[] = {
		{ "0", 1 },
		{ "0-3", 0xf },
		{ "0,2-3,7", 0x8d },
		{ "8,0-3,2-4", 0x11f },
		{ "", 0 },
		{ "63", UINT64_C(1) << 63 },
		{ "0-63", ~UINT64_C(0) },
	};
	uint64_t set;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(cpulist_parse(good[i].text, &set, 64),
				 __builtin_popcountll(good[i].set));
		assert_true(set == good[i].set);
	}
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const bad[] = { "64",      "0-64", "3-1",  "a",
					   "0,",      "0-",   "0 1",  "-1",
					   "0\n1",    "0\n",  ",",    "0 ",
					   "0-3:1/2", "\n",   "1--2", "99999999999999999999" };
	uint64_t set;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (cpulist_parse(bad[i], &set, 64) != -1)
			fail_msg("\"%s\" is a list", bad[i]);
}

static void as_many_as_linux_knows(void **state)
{
	uint64_t set[8192 / 64];

	(void)state;
	assert_int_equal(cpulist_parse("0-8191", set, 8192), 8192);
	assert_int_equal(cpulist_parse("8191,64", set, 8192), 2);
	assert_true(set[1] == 1 && set[127] == UINT64_C(1) << 63 && set[0] == 0);
	assert_int_equal(cpulist_parse("8192", set, 8192), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_sets),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(as_many_as_linux_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
