/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_error.c - what a helper writes on standard error */
#include "fuzz.h"

#include "qbx-shim/helper.c"
#include "qbx-shim/job.c"

static void check(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct qbx_err err;

	memcpy(text, data, size);
	text[size] = '\0';
	helper_parse_error(&err, "qbx-net", text, size ? data[0] : 1);
	if (!err.msg[0] || !err.stage[0] || err.code <= 0 || err.code > 255)
		abort();
	check(err.stage);
	check(err.msg);
	check(err.hint);
	free(text);
	return 0;
}
