/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins print, in every version of the specification, and what they must not. */
#include "unit.h"

#include <stdlib.h>

#include "qbx-net/address.c"
#include "qbx-net/conf.c"
#include "qbx-net/convert.c"
#include "qbx-net/result.c"

static char *link_text(const char *result, struct qbx_err *err)
{
	json_auto_t *j = json_loads(result, 0, NULL), *link = NULL;

	memset(err, 0, sizeof(*err));
	assert_non_null(j);
	link = result_link(j, "eth0", "box", err);
	return link ? json_dumps(link, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static void link_is(const char *result, const char *want)
{
	struct qbx_err err;
	char *got = link_text(result, &err);

	assert_string_equal(err.msg, "");
	assert_non_null(got);
	assert_string_equal(got, want);
	free(got);
}

static void link_fails(const char *result, const char *says)
{
	struct qbx_err err;

	assert_null(link_text(result, &err));
	assert_non_null(strstr(err.msg, says));
	assert_int_equal(err.code, EX_UNAVAILABLE);
}

static void only_the_container_interface_counts(void **state)
{
	(void)state;
	link_is("{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"02:00:00:00:"
		"00:01\"},"
		"{\"name\":\"eth0\"},{\"name\":\"eth0\",\"mac\":\"0A:58:0a:58:00:02\",\"sandbox\":"
		"\"/n\"}],"
		"\"ips\":[{\"interface\":0,\"address\":\"10.9.9.9/8\"},{\"interface\":2,"
		"\"address\":\"10.88.0.2/"
		"16\",\"gateway\":\"10.88.0.1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}",
		"{\"addresses\":[\"10.88.0.2/16\"],\"mac\":\"0a:58:0a:58:00:02\",\"name\":\"eth0\","
		"\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.88.0.1\"}]}");
}

static void the_older_form_says_the_same(void **state)
{
	(void)state;
	link_is("{\"cniVersion\":\"0.3.1\",\"ips\":[{\"version\":\"4\",\"address\":\"192.0.2.7/"
		"24\"}],"
		"\"routes\":[{\"dst\":\"198.51.100.9/24\"}]}",
		"{\"addresses\":[\"192.0.2.7/24\"],\"name\":\"eth0\","
		"\"routes\":[{\"dst\":\"198.51.100.0/24\"}]}");
}

static void each_family_has_its_gateway(void **state)
{
	(void)state;
	link_is("{\"ips\":[{\"address\":\"10.1.0.2/24\",\"gateway\":\"10.1.0.1\"},"
		"{\"address\":\"FD00:0::2/64\",\"gateway\":\"fd00::1\"}],\"routes\":[{\"dst\":\"::/"
		"0\"},"
		"{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.9\"}]}",
		"{\"addresses\":[\"10.1.0.2/24\",\"fd00::2/64\"],\"name\":\"eth0\",\"routes\":["
		"{\"dst\":\"::/0\",\"gw\":\"fd00::1\"},{\"dst\":\"0.0.0.0/"
		"0\",\"gw\":\"10.1.0.9\"}]}");
}

/* An interface whose sandbox is the container id is the guest's side of a TAP. */
static void the_guests_own_side_comes_first(void **state)
{
	(void)state;
	link_is("{\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/"
		"n\",\"mac\":\"02:00:00:00:00:01\"},"
		"{\"name\":\"tap7\",\"sandbox\":\"/n\"},"
		"{\"name\":\"tap7\",\"sandbox\":\"box\",\"mac\":\"02:00:00:00:00:02\"}],"
		"\"ips\":[{\"interface\":0,\"address\":\"10.1.0.2/24\"},"
		"{\"interface\":2,\"address\":\"10.1.0.3/24\"}]}",
		"{\"addresses\":[\"10.1.0.3/"
		"24\"],\"mac\":\"02:00:00:00:00:02\",\"name\":\"eth0\",\"routes\":[]}");
}

static void a_mac_that_no_station_has_is_left_out(void **state)
{
	static const char *const macs[] = { "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
					    "02:00:00:00:00",	 "02:00:00:00:00:0g",
					    "02-00-00-00-00-01", "+2:00:00:00:00:01" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++)
		assert_null(mac_text(macs[i]));
}

static void bad_results_are_refused(void **state)
{
	(void)state;
	link_fails("{\"ips\":[{}]}", "ips: the address of entry 1");
	link_fails("{\"ips\":[7]}", "ips: the address");
	link_fails("{\"ips\":[{\"address\":\"10.0.0.1\"}]}", "ips: the address");
	link_fails("{\"ips\":[{\"address\":\"10.0.0.1/33\"}]}", "ips: the address");
	link_fails("{\"ips\":[{\"address\":\"10.0.0.1/-1\"}]}", "ips: the address");
	link_fails("{\"ips\":[{\"address\":\"10.0.0.1/8 \"}]}", "ips: the address");
	link_fails("{\"ips\":[{\"address\":\"10.0.0.1/24\",\"gateway\":\"fd00::1\"}]}",
		   "ips: the gateway");
	link_fails("{\"routes\":[{\"dst\":\"default\"}]}", "routes: the destination");
	link_fails("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"::1\"}]}", "routes: the gateway");
}

static void lists_are_bounded(void **state)
{
	json_auto_t *result = json_object();
	json_t *ips = json_array();
	struct qbx_err err = { 0 };

	(void)state;
	for (int i = 0; i <= ADDRESSES_MAX; i++)
		json_array_append_new(
			ips, json_pack("{s:o}", "address", json_sprintf("10.0.0.%d/8", i)));
	json_object_set_new(result, "ips", ips);
	assert_null(result_link(result, "eth0", "box", &err));
	assert_non_null(strstr(err.msg, "more than 32 addresses"));
}

static char *dns_text(const char *result, struct qbx_err *err)
{
	json_auto_t *j = json_loads(result, 0, NULL), *dns = NULL;

	memset(err, 0, sizeof(*err));
	dns = result_dns(j, err);
	return dns ? json_dumps(dns, JSON_COMPACT) : NULL;
}

static void dns_is_servers_and_search(void **state)
{
	struct qbx_err err;
	char *s = dns_text("{\"dns\":{\"nameservers\":[\"192.0.2.1\",\"2001:DB8::1\"],\"domain\":"
			   "\"a.example\","
			   "\"search\":[\"b.example\"]}}",
			   &err);

	(void)state;
	assert_string_equal(s, "{\"nameservers\":[\"192.0.2.1\",\"2001:db8::1\"],"
			       "\"search\":[\"a.example\",\"b.example\"]}");
	free(s);
	s = dns_text("{}", &err);
	assert_string_equal(s, "{\"nameservers\":[],\"search\":[]}");
	free(s);
	assert_null(dns_text("{\"dns\":{\"nameservers\":[\"1.1.1.1\\n\"]}}", &err));
	assert_null(dns_text("{\"dns\":{\"search\":[\"a b\"]}}", &err));
	assert_null(dns_text("{\"dns\":{\"domain\":\"x\\ny\"}}", &err));
}

static void two_networks_share_names_and_routes(void **state)
{
	json_auto_t *dns =
		json_loads("{\"nameservers\":[\"192.0.2.1\"],\"search\":[\"a\"]}", 0, NULL);
	json_auto_t *more =
		json_loads("{\"nameservers\":[\"192.0.2.1\",\"192.0.2.2\",\"192.0.2.3\","
			   "\"192.0.2.4\",\"192.0.2.5\",\"192.0.2.6\",\"192.0.2.7\",\"192.0.2.8\","
			   "\"192.0.2.9\"],\"search\":[\"b\",\"a\"]}",
			   0, NULL);
	json_auto_t *links =
		json_loads("[{\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.0.1\"}]}]", 0, NULL);
	json_auto_t *link = json_loads(
		"{\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"10.2.0.0/16\"}]}", 0, NULL);

	(void)state;
	result_join_dns(dns, more);
	assert_int_equal(json_array_size(json_object_get(dns, "nameservers")), NAMESERVERS_MAX);
	assert_int_equal(json_array_size(json_object_get(dns, "search")), 2);
	result_drop_routes(link, links);
	assert_int_equal(json_array_size(json_object_get(link, "routes")), 1);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(link, "routes"), 0), "dst")),
			    "10.2.0.0/16");
}

static void converts(const char *from, const char *version, const char *want)
{
	json_auto_t *j = json_loads(from, 0, NULL);
	struct qbx_err err = { 0 };
	char *got;

	assert_int_equal(result_convert(j, version, &err), 0);
	got = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(got, want);
	free(got);
}

/* What each version has and the others have not. */
static void results_are_put_into_the_version_that_is_spoken(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	converts("{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/"
		 "24\"},{\"address\":\"fd00::2/64\"}]}",
		 "0.3.1",
		 "{\"cniVersion\":\"0.3.1\",\"ips\":[{\"address\":\"10.0.0.2/"
		 "24\",\"version\":\"4\"},"
		 "{\"address\":\"fd00::2/64\",\"version\":\"6\"}]}");
	converts("{\"cniVersion\":\"0.4.0\",\"ips\":[{\"address\":\"10.0.0.2/"
		 "24\",\"version\":\"4\"}]}",
		 "1.0.0", "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.2/24\"}]}");
	converts("{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"mtu\":1400,"
		 "\"socketPath\":\"/s\","
		 "\"pciID\":\"0\"}],\"routes\":[{\"dst\":\"0.0.0.0/"
		 "0\",\"mtu\":1400,\"advmss\":1,\"priority\":1,"
		 "\"table\":1,\"scope\":0}]}",
		 "1.0.0",
		 "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"eth0\"}],\"routes\":[{"
		 "\"dst\":\"0.0.0.0/0\"}]}");
	converts("{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"mtu\":1400}]}", "1.1.0",
		 "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"mtu\":1400}]}");
	converts("{}", "1.0.0", "{\"cniVersion\":\"1.0.0\"}");
	converts("{\"cniVersion\":\"\"}", "0.3.0", "{\"cniVersion\":\"0.3.0\"}");
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[] = { "{\"cniVersion\":\"0.2.0\"}",
						   "{\"cniVersion\":\"9.9.9\\n\"}",
						   "{\"cniVersion\":7}" };
		json_auto_t *j = json_loads(bad[i], 0, NULL);

		assert_int_equal(result_convert(j, "1.0.0", &err), -1);
		assert_int_equal(err.code, EX_UNAVAILABLE);
		assert_null(strchr(err.msg, '\n'));
	}
}

static void errors_become_one_line_of_ascii(void **state)
{
	const char *json =
		"{\"code\":11,\"msg\":\"try\\nlater\",\"details\":\"\\u001b[1mno \\u00e9\"}";
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(result_error(1, json, strlen(json), "ignored", &err), -1);
	assert_string_equal(err.msg, "try later; [1mno ?? (code 11)");
	assert_int_equal(err.code, EX_TEMPFAIL);
	result_error(3, "garbage", 7, "\n  iptables:  no\tchain\n\n", &err);
	assert_string_equal(err.msg, "exit status 3: iptables: no chain");
	assert_int_equal(err.code, EX_UNAVAILABLE);
	result_error(137, NULL, 0, NULL, &err);
	assert_string_equal(err.msg, "exit status 137");
	result_error(1, "{\"code\":7,\"msg\":\"bad\"}", 22, NULL, &err);
	assert_int_equal(err.code, EX_CONFIG);
}

static void names_inside_are_interfaces_in_a_sandbox(void **state)
{
	json_auto_t *j = json_loads(
		"{\"interfaces\":[{\"name\":\"br0\"},{\"name\":\"eth0\",\"sandbox\":\"/n\"},"
		"{\"name\":\"a-name-longer-than-any\",\"sandbox\":\"/n\"},7]}",
		0, NULL);
	const char *names[4] = { "" };

	(void)state;
	assert_int_equal(result_inside(j, names, 4), 1);
	assert_string_equal(names[0], "eth0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_container_interface_counts),
		cmocka_unit_test(the_older_form_says_the_same),
		cmocka_unit_test(each_family_has_its_gateway),
		cmocka_unit_test(the_guests_own_side_comes_first),
		cmocka_unit_test(a_mac_that_no_station_has_is_left_out),
		cmocka_unit_test(bad_results_are_refused),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(dns_is_servers_and_search),
		cmocka_unit_test(two_networks_share_names_and_routes),
		cmocka_unit_test(results_are_put_into_the_version_that_is_spoken),
		cmocka_unit_test(errors_become_one_line_of_ascii),
		cmocka_unit_test(names_inside_are_interfaces_in_a_sandbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
