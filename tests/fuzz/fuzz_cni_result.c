/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cni_result.c - what a CNI plugin prints: a result or an error */
#include "fuzz.h"

#include "qbx-net/address.c"
#include "qbx-net/conf.c"
#include "qbx-net/convert.c"
#include "qbx-net/result.c"

/* What is accepted is small, and holds nothing that a kernel or a resolv.conf takes amiss. */
static void check_strings(const json_t *array, size_t max)
{
	json_t *e;
	size_t i;

	if (!json_is_array(array) || json_array_size(array) > max)
		abort();
	json_array_foreach (array, i, e) {
		const char *s = json_string_value(e);

		if (!s || !s[0] || s[strcspn(s, " \t\r\n\033")])
			abort();
	}
}

static void check_error(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (result_error(1, text, size, text, &err) != -1 || !err.code || !err.msg[0])
		abort();
	for (const char *p = err.msg; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
	free(text);
}

/* In whatever version it is spoken next, it says the same of the guest. */
static void check_convert(const json_t *result, const json_t *link)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		json_auto_t *copy = json_deep_copy(result), *again = NULL;
		struct qbx_err err = { 0 };

		if (result_convert(copy, versions[i], &err) < 0)
			continue;
		again = result_link(copy, "eth0", "box", &err);
		if (link && !json_equal(link, again))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *result = json_loadb((const char *)data, size, 0, NULL), *link = NULL,
		    *dns = NULL;
	const char *names[4];
	struct qbx_err err = { 0 };

	check_error(data, size);
	if (!json_is_object(result))
		return 0;
	if (result_inside(result, names, 4) > 4)
		abort();
	link = result_link(result, "eth0", "box", &err);
	if (link) {
		check_strings(json_object_get(link, "addresses"), ADDRESSES_MAX);
		if (json_array_size(json_object_get(link, "routes")) > ROUTES_MAX)
			abort();
	}
	check_convert(result, link);
	dns = result_dns(result, &err);
	if (dns) {
		check_strings(json_object_get(dns, "nameservers"), NAMESERVERS_MAX);
		check_strings(json_object_get(dns, "search"), SEARCH_MAX + 1);
	}
	if ((!link || !dns) && !err.msg[0])
		abort();
	return 0;
}
