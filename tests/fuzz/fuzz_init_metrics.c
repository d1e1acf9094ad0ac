/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_init_metrics.c - the files of a cgroup, and the message that they become */
#include "fuzz.h"

#include <string.h>

#include "qbx-init/field.c"
#include "qbx-init/metrics.c"

/* The first byte says which file the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
	_cleanup_free_ uint8_t *packed = NULL;
	Qemubox__Metrics__Metrics *again;
	struct metrics m;
	size_t len;

	if (!text)
		return 0;
	metrics_init(&m);
	metrics_decode(&m, files[data[0] % ARRAY_SIZE(files)], text);
	if (m.io.n_usage > METRICS_DISKS_MAX)
		abort();
	len = qemubox__metrics__metrics__get_packed_size(&m.message);
	packed = malloc(len);
	if (!packed)
		return 0;
	qemubox__metrics__metrics__pack(&m.message, packed);
	again = qemubox__metrics__metrics__unpack(NULL, len, packed);
	if (!again || again->io->n_usage != m.io.n_usage || again->memory->usage != m.memory.usage)
		abort();
	qemubox__metrics__metrics__free_unpacked(again, NULL);
	return 0;
}
