/* SPDX-License-Identifier: Apache-2.0 */
/* The result cache: what libcni writes is understood, and what is written reads back. */
#include "unit.h"

#include <stdlib.h>

#include "qbx-net/address.c"
#include "qbx-net/cache.c"
#include "qbx-net/capability.c"
#include "qbx-net/conf.c"
#include "qbx-net/networks.c"

/* Test vectors of RFC 4648, section 10. */
static void base64_is_rfc_4648(void **state)
{
	static const char *const pairs[][2] = { { "", "" },
						{ "f", "Zg==" },
						{ "fo", "Zm8=" },
						{ "foo", "Zm9v" },
						{ "foob", "Zm9vYg==" },
						{ "fooba", "Zm9vYmE=" },
						{ "foobar", "Zm9vYmFy" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		_cleanup_free_ char *text = base64_encode(pairs[i][0], strlen(pairs[i][0]));
		size_t len = 99;
		_cleanup_free_ char *back = base64_decode(pairs[i][1], &len);

		assert_string_equal(text, pairs[i][1]);
		assert_string_equal(back, pairs[i][0]);
		assert_int_equal(len, strlen(pairs[i][0]));
	}
}

static void what_is_not_base64_is_none(void **state)
{
	static const char *const bad[] = { "Z",	       "Zg=",	   "Zg",      "Z===",
					   "Zm9v!A==", "Zg==Zg==", "Zm9v Zm9" };
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(base64_decode(bad[i], &len));
}

/* As libcni 1.1 wrote it for {"cniVersion":"1.0.0","name":"n","plugins":[{"type":"a"}]}. */
#define CONFIG "eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibiIsInBsdWdpbnMiOlt7InR5cGUiOiJhIn1dfQ=="
#define ENTRY(kind, ifname)                                                                        \
	"{\"kind\":\"" kind "\",\"containerId\":\"c\",\"config\":\"" CONFIG                        \
	"\",\"ifName\":\"" ifname "\","                                                            \
	"\"networkName\":\"n\",\"netns\":\"/run/netns/"                                            \
	"x\",\"cniArgs\":[[\"K\",\"v\"],[\"E\",\"\"]],"                                            \
	"\"capabilityArgs\":{\"mac\":\"02:00:00:00:00:01\"},\"result\":{\"cniVersion\":\"1.0.0\"}" \
	"}"

static json_t *parse(const char *text)
{
	return cache_parse(text, strlen(text));
}

static void an_entry_is_what_del_needs(void **state)
{
	json_auto_t *entry = parse(ENTRY("cniCacheV1", "eth0")), *again = NULL;
	_cleanup_(attachment_free) struct attachment at;

	(void)state;
	assert_non_null(entry);
	assert_int_equal(cache_attachment(entry, &at), 0);
	assert_string_equal(at.ifname, "eth0");
	assert_string_equal(at.conf.name, "n");
	assert_int_equal(at.started, 1);
	assert_string_equal(json_string_value(json_object_get(at.args, "K")), "v");
	assert_non_null(json_object_get(at.caps, "mac"));
	assert_non_null(at.result);
	again = entry_of("c", "/run/netns/x", &at);
	assert_true(json_equal(entry, again));
}

static void what_is_none_is_passed_over(void **state)
{
	json_auto_t *no_config =
		parse("{\"kind\":\"cniCacheV1\",\"containerId\":\"c\",\"networkName\":\"n\","
		      "\"ifName\":\"eth0\"}");
	struct attachment at;

	(void)state;
	assert_null(parse(""));
	assert_null(parse("[]"));
	assert_null(parse("{\"kind\":\"cniCacheV1\"}"));
	assert_null(parse(ENTRY("cniCacheV2", "eth0")));
	assert_null(parse(ENTRY("cniCacheV1", "")));
	assert_non_null(no_config);
	assert_int_equal(cache_attachment(no_config, &at), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_rfc_4648),
		cmocka_unit_test(what_is_not_base64_is_none),
		cmocka_unit_test(an_entry_is_what_del_needs),
		cmocka_unit_test(what_is_none_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
