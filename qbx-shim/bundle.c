/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c - what containerd left in the bundle directory */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "io.h"
#include "json.h"

/* The entry of linux.namespaces whose type is "network", or NULL. */
static json_t *network_namespace(const json_t *spec)
{
	json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces");
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *type = json_string_value(json_object_get(entry, "type"));

		if (type && !strcmp(type, "network"))
			return entry;
	}
	return NULL;
}

static int check_spec(const char *what, const json_t *spec, struct qbx_err *err)
{
	json_t *netns = network_namespace(spec);
	const char *path = json_string_value(json_object_get(netns, "path"));

	if (!netns) {
		err_sys(err, ENOTSUP,
			"%s: no network namespace, so the host's network is asked for", what);
		return err_hint(err, "a VM has a network of its own: run it without --net-host");
	}
	if (path && path[0])
		return err_sys(err, ENOTSUP, "%s: network namespace %s made by somebody else", what,
			       path);
	return 0;
}

int bundle_read_spec(const char *bundle, char **text, size_t *len, struct qbx_err *err)
{
	_cleanup_free_ char *read = NULL;
	json_auto_t *spec = NULL;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/config.json", bundle) >= (int)sizeof(path))
		return err_sys(err, ENAMETOOLONG, "bundle %s", bundle);
	if (io_read_file(AT_FDCWD, path, BUNDLE_SPEC_MAX, &read, len, err) < 0)
		return -1;
	spec = json_parse(read, *len, path, err);
	if (!spec || check_spec(path, spec, err) < 0)
		return -1;
	*text = take_ptr(read);
	return 0;
}
