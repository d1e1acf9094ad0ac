/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_image.c - the JSON of an OCI image: index, manifest and configuration */
#include "fuzz.h"

#include "json.h"
#include "qbx-fs/image.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	json_auto_t *j = json_parse((const char *)data, size, "fuzz", &err), *process = NULL;
	struct image_ref ref;
	const json_t *layers, *layer;
	const char *user;
	size_t i;

	if (!j)
		return 0;
	/* A digest is safe as a file's name. */
	if (image_pick(j, &ref, &err) == 0 &&
	    strspn(ref.digest, "0123456789abcdef") != SHA256_HEX_LEN)
		abort();
	layers = image_layers(j, 500, &err);
	json_array_foreach (layers, i, layer)
		if (image_ref_decode(layer, &ref, &err) < 0 && err.code != EX_DATAERR)
			abort();
	process = image_process(j, &user, &err);
	if (process && (!user || json_string_value(json_object_get(process, "cwd"))[0] != '/'))
		abort();
	return 0;
}
