/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cni_cache.c - an entry of the result cache, which any CNI runtime may have written */
#include "fuzz.h"

#include "qbx-net/address.c"
#include "qbx-net/cache.c"
#include "qbx-net/capability.c"
#include "qbx-net/conf.c"
#include "qbx-net/networks.c"

static void check_base64(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = base64_encode((const char *)data, size), *back = NULL;
	size_t len = 0;

	back = text ? base64_decode(text, &len) : NULL;
	if (!back || len != size || memcmp(back, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *entry = cache_parse((const char *)data, size);
	struct attachment at;

	check_base64(data, size);
	if (!entry)
		return 0;
	if (cache_attachment(entry, &at) < 0)
		return 0;
	if (!at.ifname[0] || at.started == 0 || !at.conf.name)
		abort();
	attachment_free(&at);
	return 0;
}
