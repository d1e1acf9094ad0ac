/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_stats.c - a guest's statistics, and what is concluded from a series of them */
#include "fuzz.h"

#include "qbx-shim/policy.c"
#include "qbx-shim/stats.c"

static const struct policy_limits limits = { 1, 8, 512, 4096 };

static void step(struct policy *p, struct policy_size *size, const uint8_t *data, size_t len)
{
	struct qbx_err err = { 0 };
	struct stats s = { 0 };

	if (stats_decode(&s, data, len, &err) < 0) {
		if (!err.code)
			abort();
		return;
	}
	*size = policy_step(p, &s, size);
	if (size->vcpus < limits.vcpus_min || size->vcpus > limits.vcpus_max ||
	    size->memory_mib < limits.memory_min_mib || size->memory_mib > limits.memory_max_mib)
		abort();
}

/* A byte of length and a message, again and again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_size now = { 1, 512 };
	struct policy p;

	policy_init(&p, &limits);
	while (size > 0) {
		size_t len = data[0];

		data++;
		size--;
		len = len < size ? len : size;
		step(&p, &now, data, len);
		data += len;
		size -= len;
	}
	return 0;
}
