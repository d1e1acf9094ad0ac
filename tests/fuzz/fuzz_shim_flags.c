/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_flags.c - the shim's command line: arguments separated by newlines */
#include "fuzz.h"

#include "qbx-shim/flags.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *argv[66] = { (char[]){ "shim" } }, *rest = NULL;
	struct qbx_err err = { 0 };
	struct flags f;
	int argc = 1;

	memcpy(text, data, size);
	text[size] = '\0';
	for (char *t = strtok_r(text, "\n", &rest); t && argc < 65; t = strtok_r(NULL, "\n", &rest))
		argv[argc++] = t;
	argv[argc] = NULL;
	if (flags_parse(&f, argc, argv, &err) < 0 && err.code != EX_USAGE)
		abort();
	free(text);
	return 0;
}
