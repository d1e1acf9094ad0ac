/* SPDX-License-Identifier: Apache-2.0 */
/* volumes.c - "fs.volumes", and the specification that goes with it */
#include "volumes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

#define BLOCK_PREFIX "disk:" VOLUMES_SERIAL

static const struct {
	const char *name, *prefix;
} kinds[] = {
	[VOLUME_SHARE] = { "share", VOLUMES_SHARES "/" },
	[VOLUME_FILE] = { "file", VOLUMES_FILES "/" },
	[VOLUME_DISK] = { "disk", VOLUMES_DISKS "/" },
	[VOLUME_BLOCK] = { "block", BLOCK_PREFIX },
	[VOLUME_SHM] = { "shm", "shm" },
};

void volume_path(enum volume_kind kind, size_t index, char path[VOLUMES_PATH_MAX])
{
	snprintf(path, VOLUMES_PATH_MAX, "%.8s%u", kinds[kind].prefix,
		 (unsigned)index % VOLUMES_MAX);
}

/* @prefix and a number. */
static bool is_numbered(const char *path, const char *prefix)
{
	size_t len = strlen(prefix), digits;

	if (strncmp(path, prefix, len) != 0)
		return false;
	digits = strspn(path + len, "0123456789");
	return digits > 0 && digits < 4 && !path[len + digits];
}

bool volume_is_path(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (i != VOLUME_SHM && is_numbered(path, kinds[i].prefix))
			return true;
	return false;
}

bool volume_is_disk(const char *path)
{
	return is_numbered(path, BLOCK_PREFIX);
}

bool volume_option_is_generic(const char *option)
{
	static const char *const generic[] = {
		"bind",
		"rbind",
		"ro",
		"rw",
		"rro",
		"suid",
		"nosuid",
		"dev",
		"nodev",
		"exec",
		"noexec",
		"atime",
		"noatime",
		"diratime",
		"nodiratime",
		"relatime",
		"norelatime",
		"strictatime",
		"nostrictatime",
		"private",
		"rprivate",
		"shared",
		"rshared",
		"slave",
		"rslave",
		"unbindable",
		"runbindable",
	};

	for (size_t i = 0; i < ARRAY_SIZE(generic); i++)
		if (!strcmp(generic[i], option))
			return true;
	return false;
}

static int read_kind(const char *name, enum volume_kind *kind, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		*kind = (enum volume_kind)i;
		return 0;
	}
	return err_code(err, EX_DATAERR, "fs.volumes: kind \"%.40s\" is not understood", name);
}

/* Which entry of which list of the specification: just one is named. */
static int read_index(const json_t *j, struct volume *v, struct qbx_err *err)
{
	const json_t *mount = json_object_get(j, "mount"), *device = json_object_get(j, "device");
	const json_t *index = mount ? mount : device;

	if (!json_is_integer(index) || json_integer_value(index) < 0 || (mount && device) ||
	    (device && v->kind != VOLUME_BLOCK))
		return err_code(err, EX_DATAERR, "fs.volumes: the volume on %.200s is not one",
				v->destination);
	v->index = (size_t)json_integer_value(index);
	v->device = device != NULL;
	return 0;
}

int volume_read(const json_t *volumes, size_t index, struct volume *v, struct qbx_err *err)
{
	json_t *j = json_array_get(volumes, index);
	int readonly = 0, recursive = 0;
	json_int_t dev, ino, size = 0;
	const char *kind;
	json_error_t je;

	*v = (struct volume){ .source = "", .destination = "", .fstype = "" };
	if (json_array_size(volumes) > VOLUMES_MAX)
		return err_code(err, EX_DATAERR, "fs.volumes: %zu volumes, at most %u",
				json_array_size(volumes), VOLUMES_MAX);
	if (json_unpack_ex(j, &je, 0, "{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s?s, s?I}", "kind",
			   &kind, "source", &v->source, "destination", &v->destination, "dev", &dev,
			   "ino", &ino, "readonly", &readonly, "recursive", &recursive, "fstype",
			   &v->fstype, "size", &size) < 0)
		return err_code(err, EX_DATAERR, "fs.volumes: %s", je.text);
	if (read_kind(kind, &v->kind, err) < 0 || read_index(j, v, err) < 0)
		return -1;
	if (v->source[0] != '/' || v->destination[0] != '/' ||
	    (v->kind == VOLUME_DISK) != (v->fstype[0] != '\0'))
		return err_code(err, EX_DATAERR, "fs.volumes: number %zu is not one", index);
	v->dev = (uint64_t)dev;
	v->ino = (uint64_t)ino;
	v->size = size > 0 ? (uint64_t)size : 0;
	v->readonly = readonly;
	v->recursive = recursive;
	volume_path(v->kind, index, v->path);
	return 0;
}

json_t *volume_to_json(const struct volume *v)
{
	json_t *j =
		json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:b, s:b}", "kind", kinds[v->kind].name,
			  v->device ? "device" : "mount", (json_int_t)v->index, "source", v->source,
			  "destination", v->destination, "dev", (json_int_t)v->dev, "ino",
			  (json_int_t)v->ino, "readonly", v->readonly, "recursive", v->recursive);

	if (j && v->fstype && v->fstype[0] &&
	    json_object_set_new(j, "fstype", json_string(v->fstype)) < 0)
		json_decref(take_ptr(j));
	if (j && v->size > 0)
		json_object_set_new(j, "size", json_integer((json_int_t)v->size));
	return j;
}

/* A bind is one by its options; where only the type says so, have them say it, too. */
static int make_bind(json_t *mount, bool recursive, struct qbx_err *err)
{
	json_t *options = json_object_get(mount, "options"), *option;
	size_t i;

	json_array_foreach (options, i, option) {
		const char *text = json_string_value(option);

		if (text && (!strcmp(text, "bind") || !strcmp(text, "rbind")))
			return 0;
	}
	if (!json_is_array(options)) {
		options = json_array();
		if (json_object_set_new(mount, "options", options) < 0)
			return err_sys(err, ENOMEM, "place the volumes");
	}
	if (json_array_append_new(options, json_string(recursive ? "rbind" : "bind")) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	return 0;
}

/* The last word on it counts. */
static int forbid_exec(json_t *mount, struct qbx_err *err)
{
	if (json_array_append_new(json_object_get(mount, "options"), json_string("noexec")) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	return 0;
}

/* What is for the file system alone was for its mount in the guest. */
static void keep_generic(json_t *mount)
{
	json_t *options = json_object_get(mount, "options");

	for (size_t i = 0; i < json_array_size(options);) {
		const char *text = json_string_value(json_array_get(options, i));

		if (text && volume_option_is_generic(text))
			i++;
		else
			json_array_remove(options, i);
	}
}

/* The entry that @v is of. NULL with @err if there is none, or another one. */
static json_t *entry_of(const json_t *spec, const struct volume *v, struct qbx_err *err)
{
	const json_t *linux_ = json_object_get(spec, "linux");
	json_t *list =
		v->device ? json_object_get(linux_, "devices") : json_object_get(spec, "mounts");
	json_t *entry = json_array_get(list, v->index);
	const char *destination =
		json_string_value(json_object_get(entry, v->device ? "path" : "destination"));

	if (destination && !strcmp(destination, v->destination))
		return entry;
	err_code(err, EX_DATAERR, "fs.volumes: the specification has no %s on %.200s as number %zu",
		 v->device ? "device" : "mount", v->destination, v->index);
	err_hint(err, "it is another one than qbx-fs prepare saw");
	return NULL;
}

/* Memory that processes share is the guest's own. */
static int place_shm(json_t *mount, const struct volume *v, struct qbx_err *err)
{
	json_t *options = json_pack("[s, s, s, s]", "nosuid", "nodev", "noexec", "mode=1777");

	if (v->size > 0)
		json_array_append_new(options, json_sprintf("size=%" PRIu64, v->size));
	if (v->readonly)
		json_array_append_new(options, json_string("ro"));
	if (json_object_set_new(mount, "type", json_string("tmpfs")) < 0 ||
	    json_object_set_new(mount, "source", json_string("shm")) < 0 ||
	    json_object_set_new(mount, "options", options) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	return 0;
}

static int place(const json_t *spec, const struct volume *v, bool emulated, struct qbx_err *err)
{
	json_t *mount = entry_of(spec, v, err);

	if (!mount)
		return -1;
	if (v->kind == VOLUME_SHM)
		return place_shm(mount, v, err);
	if (json_object_set_new(mount, "source", json_string(v->path)) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	if (v->device)
		return 0;
	if (json_object_set_new(mount, "type", json_string("bind")) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	if (v->kind == VOLUME_DISK)
		keep_generic(mount);
	if (make_bind(mount, v->recursive, err) < 0)
		return -1;
	return emulated && v->kind == VOLUME_SHARE ? forbid_exec(mount, err) : 0;
}

int volumes_place(json_t *spec, const json_t *volumes, bool emulated, struct qbx_err *err)
{
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0 || place(spec, &v, emulated, err) < 0)
			return -1;
	}
	return 0;
}

int volumes_place_text(char **text, size_t *len, const json_t *volumes, bool emulated,
		       struct qbx_err *err)
{
	json_auto_t *spec = NULL;
	char *placed;

	if (json_array_size(volumes) == 0)
		return 0;
	spec = json_parse(*text, *len, "the specification", err);
	if (!spec || volumes_place(spec, volumes, emulated, err) < 0)
		return -1;
	placed = json_dumps(spec, JSON_COMPACT);
	if (!placed)
		return err_sys(err, ENOMEM, "place the volumes");
	free(*text);
	*text = placed;
	*len = strlen(placed);
	return 0;
}
