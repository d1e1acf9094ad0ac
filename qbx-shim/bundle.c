/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c - what containerd left in the bundle directory */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "io.h"
#include "json.h"

#define WRITABLE "io.qemubox.fs.writable"
#define COMMIT "io.qemubox.fs.commit"

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

static int take_annotation(const json_t *spec, bool *none, struct qbx_err *err)
{
	const json_t *said =
		json_object_get(json_object_get(spec, "annotations"), "io.qemubox.net");
	const char *text = json_string_value(said);

	*none = text && !strcmp(text, "none");
	if (!said || *none || (text && !strcmp(text, "cni")))
		return 0;
	return err_code(err, EX_DATAERR, "annotation io.qemubox.net: must be \"cni\" or \"none\"");
}

int bundle_network(const json_t *spec, struct bundle_network *net, struct qbx_err *err)
{
	json_t *netns = network_namespace(spec);
	const char *path = json_string_value(json_object_get(netns, "path"));

	if (!netns) {
		err_sys(err, ENOTSUP,
			"config.json: no network namespace, so the host's network is asked for");
		return err_hint(err, "a VM has a network of its own: run it without --net-host");
	}
	net->netns = path && path[0] ? path : NULL;
	return take_annotation(spec, &net->none, err);
}

/* Digits, of a number that qbx-fs will look at more closely. */
static int take_mib(const json_t *value, json_t *doc, struct qbx_err *err)
{
	const char *text = json_string_value(value);
	size_t len = text ? strspn(text, "0123456789") : 0;

	if (len == 0 || len > 9 || text[len])
		return err_code(err, EX_DATAERR,
				"annotation " WRITABLE "-mib: must be a whole number, as a string");
	json_object_set_new(doc, "writable_mib", json_integer(strtol(text, NULL, 10)));
	return 0;
}

static int take_commit(const json_t *value, json_t *doc, struct qbx_err *err)
{
	const char *text = json_string_value(value);

	if (text && !strcmp(text, "true"))
		json_object_set_new(doc, "commit", json_true());
	else if (!text || strcmp(text, "false") != 0)
		return err_code(err, EX_DATAERR,
				"annotation " COMMIT ": must be \"true\" or \"false\"");
	return 0;
}

int bundle_writable(const json_t *spec, json_t *doc, struct qbx_err *err)
{
	const json_t *annotations = json_object_get(spec, "annotations");
	json_t *kind = json_object_get(annotations, WRITABLE);
	const json_t *mib = json_object_get(annotations, WRITABLE "-mib");
	const json_t *commit = json_object_get(annotations, COMMIT);
	const json_t *readonly = json_object_get(json_object_get(spec, "root"), "readonly");
	const char *text = json_string_value(kind);

	if (kind && (!text || (strcmp(text, "disk") && strcmp(text, "tmpfs"))))
		return err_code(err, EX_DATAERR,
				"annotation " WRITABLE ": must be \"disk\" or \"tmpfs\"");
	if (kind)
		json_object_set(doc, "writable", kind);
	else if (json_is_true(readonly))
		json_object_set_new(doc, "writable", json_string("tmpfs"));
	if (mib && take_mib(mib, doc, err) < 0)
		return -1;
	return commit ? take_commit(commit, doc, err) : 0;
}

json_t *bundle_read_spec(const char *bundle, char **text, size_t *len, struct qbx_err *err)
{
	_cleanup_free_ char *read = NULL;
	char path[PATH_MAX];
	json_t *spec;

	if (snprintf(path, sizeof(path), "%s/config.json", bundle) >= (int)sizeof(path)) {
		err_sys(err, ENAMETOOLONG, "bundle %s", bundle);
		return NULL;
	}
	if (io_read_file(AT_FDCWD, path, BUNDLE_SPEC_MAX, &read, len, err) < 0)
		return NULL;
	spec = json_parse(read, *len, path, err);
	if (spec)
		*text = take_ptr(read);
	return spec;
}
