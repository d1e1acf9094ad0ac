/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mountinfo.c - /proc/self/mountinfo, whose paths and sources anybody who mounts can choose */
#include "fuzz.h"

#include "qbx-fs/mountinfo.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *at = text;
	struct qbx_err err = { 0 };
	struct mountinfo m = { .id = 0 };

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (mountinfo_next(&at, &m, &err) > 0) {
		/* Every string lies in the text. */
		const char *const all[] = { m.root, m.point, m.fstype, m.source, m.super_options };

		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			if (all[i] < text || all[i] + strlen(all[i]) > text + size)
				abort();
	}
	free(text);
	return 0;
}
