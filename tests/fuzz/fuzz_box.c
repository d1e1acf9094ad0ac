/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_box.c - the box document, as every command reads it */
#include "fuzz.h"

#include <string.h>

#include "box.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	json_t *doc = json_parse((const char *)data, size, "fuzz", &err);
	struct box box;

	if (!doc)
		return 0;
	if (box_take(&box, doc, "fuzz", &err) < 0)
		return 0;
	/* What is accepted is safe as a path component, and is not confused with another box. */
	if (strchr(box.key, '/') || box.key[0] == '.' || strlen(box.key) >= BOX_KEY_MAX)
		abort();
	if (strstr(box.key, "--") != box.key + strlen(box.namespace))
		abort();
	box_free(&box);
	return 0;
}
