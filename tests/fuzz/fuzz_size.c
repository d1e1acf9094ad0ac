/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_size.c - an OCI specification's limits and what VM they come to */
#include "fuzz.h"

#include "lib/size.c"

static void check_size(const struct limits *l)
{
	struct size s = { 0 };
	struct qbx_err err = { 0 };

	if (size_make(l, &s, NULL, &err) < 0) {
		if (err.code != EX_UNAVAILABLE)
			abort();
		return;
	}
	if (s.vcpus < 1 || s.vcpus > s.vcpus_max || s.vcpus_max > SIZE_VCPUS_MAX)
		abort();
	if (s.memory_mib < STEP_MIB || s.memory_mib % STEP_MIB || s.memory_max_mib % STEP_MIB ||
	    s.memory_mib > s.memory_max_mib || s.memory_max_mib > l->host.memory_mib)
		abort();
	if (l->memory_bytes / MIB >= s.memory_max_mib && !l->memory_mib)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct limits l = {
		.config = { .vcpus_max = 16, .memory_mib = 512, .memory_max_mib = 4000 },
		.host = { .cpus = 8, .memory_mib = 16001, .available_mib = 900 },
	};
	struct qbx_err err = { 0 };
	json_t *spec;

	spec = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (limits_read(&l, spec, &err) == 0)
		check_size(&l);
	json_decref(spec);
	return 0;
}
