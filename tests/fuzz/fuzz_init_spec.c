/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_init_spec.c - a host's config.json, as the guest adapts it */
#include "fuzz.h"

#include <string.h>

#include "qbx-init/oci.c"
#include "qbx-init/resources.c"
#include "qbx-init/spec.c"

/* The same bytes as resources: no processor of the host is left in what is accepted. */
static void check_update(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	json_t *resources = spec_adapt_update((const char *)data, size, &err);

	if (!resources && !err.msg[0])
		abort();
	if (json_object_get(json_object_get(resources, "cpu"), "cpus"))
		abort();
	json_decref(resources);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(spec_free) struct spec s = { .id = "box",
					       .bundle = "/run/qbx/box",
					       .rootfs = "/run/qbx/box/rootfs" };
	struct qbx_err err = { 0 };
	struct qbx_err refused = { 0 };
	json_auto_t *process = NULL;
	json_t *list;

	log_open("fuzz", LOG_LEVEL_ERROR, -1);
	process = spec_process((const char *)data, size, false, &refused);
	if (!process == !refused.code)
		abort();
	check_update(data, size);
	if (spec_adapt(&s, (const char *)data, size, &err) < 0) {
		if (!err.msg[0])
			abort();
		return 0;
	}
	/* What is accepted stays in its cgroup, and names no namespace of the host. */
	if (s.cgroup[0] != '/' || strstr(s.cgroup, "/.") || strstr(s.cgroup, "//") || !s.cgroup[1])
		abort();
	list = json_object_get(json_object_get(s.json, "linux"), "namespaces");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path =
			json_string_value(json_object_get(json_array_get(list, i), "path"));

		if (path && path[0])
			abort();
	}
	/* No node is a disk, and hooks are those of the container. */
	list = json_object_get(json_object_get(s.json, "linux"), "devices");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *type =
			json_string_value(json_object_get(json_array_get(list, i), "type"));

		if (type && !strcmp(type, "b"))
			abort();
	}
	if (json_object_size(json_object_get(s.json, "hooks")) > 1)
		abort();
	return 0;
}
