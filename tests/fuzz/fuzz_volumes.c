/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_volumes.c - a document's volumes, laid over a specification: {"volumes": …, "spec": …} */
#include "fuzz.h"

#include <string.h>

#include "volumes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	json_t *volumes = json_object_get(j, "volumes"), *spec = json_object_get(j, "spec");
	struct qbx_err err = { 0 };

	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, &err) < 0)
			continue;
		if (v.source[0] != '/' || v.destination[0] != '/' ||
		    (v.kind != VOLUME_SHM && !volume_is_path(v.path)))
			abort();
	}
	if (json_is_object(spec) && volumes_place(spec, volumes, size & 1, &err) < 0 && !err.code)
		abort();
	json_decref(j);
	return 0;
}
