/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_init_boot.c - what the host says at boot */
#include "fuzz.h"

#include "qbx-init/addr.c"
#include "qbx-init/boot.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct addr a;
	Boot *b;

	if (size > GUEST_MESSAGE_MAX)
		return 0;
	b = boot_parse(data, size, &err);
	if (!b) {
		if (!err.msg[0])
			abort();
		return 0;
	}
	/* net.c relies on these. */
	for (size_t i = 0; i < b->n_links; i++)
		for (size_t k = 0; k < b->links[i]->n_addresses; k++)
			if (addr_parse_cidr(b->links[i]->addresses[k], &a) < 0 ||
			    a.prefix > a.len * 8)
				abort();
	boot_free(b);
	return 0;
}
