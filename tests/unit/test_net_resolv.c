/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "qbx-net/resolv.c"

static void is(const char *text, const char *want)
{
	json_auto_t *dns = resolv_parse(text, strlen(text));
	_cleanup_free_ char *got = json_dumps(dns, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(got, want);
}

static void servers_that_others_reach(void **state)
{
	(void)state;
	is("nameserver 192.0.2.1\nnameserver\t2001:db8::53 \n",
	   "{\"nameservers\":[\"192.0.2.1\",\"2001:db8::53\"],\"search\":[]}");
	is("nameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1\nnameserver 0.0.0.0\n",
	   "{\"nameservers\":[],\"search\":[]}");
	is("nameserver fe80::1%eth0\nnameserver rubbish\nnameserver\n# nameserver 192.0.2.1",
	   "{\"nameservers\":[],\"search\":[]}");
}

static void the_last_search_counts(void **state)
{
	(void)state;
	is("search a.example b.example\noptions ndots:5\ndomain c.example",
	   "{\"nameservers\":[],\"search\":[\"c.example\"]}");
	is("search a.example  ../x b.example .\r\n",
	   "{\"nameservers\":[],\"search\":[\"a.example\",\"b.example\"]}");
}

static void rubbish_is_passed_over(void **state)
{
	(void)state;
	is("", "{\"nameservers\":[],\"search\":[]}");
	is("\n\n \t\n\xff\xfe search x\nnameserversearch", "{\"nameservers\":[],\"search\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_that_others_reach),
		cmocka_unit_test(the_last_search_counts),
		cmocka_unit_test(rubbish_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
