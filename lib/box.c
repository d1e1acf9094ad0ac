/* SPDX-License-Identifier: Apache-2.0 */
/* box.c - the box document and its directory */
#include "box.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "io.h"
#include "json.h"

#define BOX_VERSION 1

/* Keys that qbx-json(7) names, and their types; any other key is kept as it is. */
static const struct {
	const char *name;
	json_type type;
} known_keys[] = {
	{ "id", JSON_STRING },	    { "namespace", JSON_STRING }, { "bundle", JSON_STRING },
	{ "accel", JSON_STRING },   { "rootfs", JSON_ARRAY },	  { "spec", JSON_OBJECT },
	{ "network", JSON_STRING }, { "net", JSON_OBJECT },	  { "fs", JSON_OBJECT },
	{ "vm", JSON_OBJECT },	    { "shim", JSON_OBJECT },	  { "machine", JSON_STRING },
	{ "end", JSON_OBJECT },	    { "networks", JSON_ARRAY },	  { "writable", JSON_STRING },
	{ "writable_mib", JSON_INTEGER }, { "commit", JSON_TRUE },
};

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "a string";
	case JSON_ARRAY:
		return "an array";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_TRUE:
		return "true or false";
	default:
		return "an object";
	}
}

int box_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > BOX_NAME_MAX || !isalnum((unsigned char)name[len - 1]))
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (isalnum((unsigned char)name[i]))
			continue;
		if (!strchr("._-", name[i]) || i == 0 || !isalnum((unsigned char)name[i - 1]))
			return 0;
	}
	return 1;
}

static int check_doc(struct box *box, const char *what, struct qbx_err *err)
{
	json_t *version = json_object_get(box->doc, "qbx");
	json_t *id, *namespace;

	if (!json_is_integer(version))
		return err_code(err, EX_DATAERR, "%s: no \"qbx\" version: not a box document",
				what);
	if (json_integer_value(version) != BOX_VERSION)
		return err_code(err, EX_DATAERR,
				"%s: box document version %lld, only %d is understood", what,
				(long long)json_integer_value(version), BOX_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(known_keys); i++) {
		json_t *v = json_object_get(box->doc, known_keys[i].name);

		if (v && (json_is_false(v) ? JSON_TRUE : json_typeof(v)) != known_keys[i].type)
			return err_code(err, EX_DATAERR, "%s: \"%s\" must be %s", what,
					known_keys[i].name, type_name(known_keys[i].type));
	}
	id = json_object_get(box->doc, "id");
	namespace = json_object_get(box->doc, "namespace");
	box->id = json_string_value(id);
	box->namespace = namespace ? json_string_value(namespace) : "default";
	if (!box->id)
		return err_code(err, EX_DATAERR, "%s: \"id\" is missing", what);
	if (!box_name_ok(box->id) || !box_name_ok(box->namespace))
		return err_code(err, EX_DATAERR,
				"%s: id and namespace must be letters and digits joined by single "
				"'.', '_' or '-', at most %d",
				what, BOX_NAME_MAX);
	snprintf(box->key, sizeof(box->key), "%s--%s", box->namespace, box->id);
	return 0;
}

int box_take(struct box *box, json_t *doc, const char *what, struct qbx_err *err)
{
	memset(box, 0, sizeof(*box));
	box->doc = doc;
	if (check_doc(box, what, err) < 0) {
		box_free(box);
		return -1;
	}
	return 0;
}

int box_read(struct box *box, int fd, const char *what, struct qbx_err *err)
{
	json_t *doc = json_read_fd(fd, what, err);

	memset(box, 0, sizeof(*box));
	return doc ? box_take(box, doc, what, err) : -1;
}

void box_free(struct box *box)
{
	json_decref(box->doc);
	memset(box, 0, sizeof(*box));
}

int box_dir_open(const struct config *cfg, const struct box *box, int create, struct qbx_err *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", cfg->run_dir, box->key);
	if (create && io_mkdirs(cfg->run_dir, 0755, err) < 0)
		return -1;
	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open box directory %s", path);
	return fd;
}

int box_dir_lock(int dirfd, struct qbx_err *err)
{
	int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "open lock");
	if (flock(fd, LOCK_EX) < 0) {
		err_sys(err, errno, "take lock");
		close(fd);
		return -1;
	}
	return fd;
}

int box_dir_remove(const struct config *cfg, const struct box *box, struct qbx_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", cfg->run_dir, box->key);
	return io_remove_tree(AT_FDCWD, path, err);
}

static json_t *read_bundle(const char *bundle, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	json_t *spec;

	if (bundle[0] != '/') {
		err_code(err, EX_DATAERR, "bundle \"%s\" is not an absolute path", bundle);
		return NULL;
	}
	dirfd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		err_sys(err, errno, "open bundle %s", bundle);
		return NULL;
	}
	spec = json_read_file(dirfd, "config.json", err);
	if (!spec)
		err_wrap(err, "bundle %s", bundle);
	return spec;
}

json_t *box_spec(const struct box *box, struct qbx_err *err)
{
	const json_t *given = json_object_get(box->doc, "spec");
	const char *bundle = json_string_value(json_object_get(box->doc, "bundle"));

	if (given)
		return json_deep_copy(given);
	return bundle ? read_bundle(bundle, err) : NULL;
}
