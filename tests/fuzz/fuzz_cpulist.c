/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cpulist.c - a list of processors: the set has as many as are counted */
#include "fuzz.h"

#include <string.h>

#include "lib/cpulist.c"

static void check(const char *text, uint64_t *set, unsigned max)
{
	int n = cpulist_parse(text, set, max), bits = 0;

	for (unsigned i = 0; i < max / 64; i++)
		bits += __builtin_popcountll(set[i]);
	if (n < -1 || n > (int)max || (n >= 0 && n != bits) || (n == 0 && *text))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	uint64_t few, set[8192 / 64];

	if (!text)
		return 0;
	check(text, &few, 64);
	check(text, set, 8192);
	free(text);
	return 0;
}
