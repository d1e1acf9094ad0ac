/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_net_resolv.c - the host's resolv.conf, which anybody may have written */
#include "fuzz.h"

#include "qbx-net/resolv.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *dns = resolv_parse((const char *)data, size);
	json_t *e;
	size_t i;

	if (json_array_size(json_object_get(dns, "nameservers")) > NAMESERVERS_MAX)
		abort();
	json_array_foreach (json_object_get(dns, "search"), i, e)
		if (!is_domain(json_string_value(e)) || i >= SEARCH_MAX)
			abort();
	return 0;
}
