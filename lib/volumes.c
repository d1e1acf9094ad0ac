/* SPDX-License-Identifier: Apache-2.0 */
/* volumes.c - "fs.volumes", and the specification that goes with it */
#include "volumes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

static const struct {
	const char *name, *dir;
} kinds[] = {
	[VOLUME_SHARE] = { "share", VOLUMES_SHARES },
	[VOLUME_FILE] = { "file", VOLUMES_FILES },
};

void volume_path(enum volume_kind kind, size_t index, char path[VOLUMES_PATH_MAX])
{
	snprintf(path, VOLUMES_PATH_MAX, "%.8s/%u", kinds[kind].dir, (unsigned)index % VOLUMES_MAX);
}

bool volume_is_path(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].dir), digits;

		if (strncmp(path, kinds[i].dir, len) != 0 || path[len] != '/')
			continue;
		digits = strspn(path + len + 1, "0123456789");
		return digits > 0 && digits < 4 && !path[len + 1 + digits];
	}
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

int volume_read(const json_t *volumes, size_t index, struct volume *v, struct qbx_err *err)
{
	int readonly = 0, recursive = 0;
	json_int_t mount, dev, ino;
	const char *kind;
	json_error_t je;

	*v = (struct volume){ .source = "", .destination = "" };
	if (json_array_size(volumes) > VOLUMES_MAX)
		return err_code(err, EX_DATAERR, "fs.volumes: %zu volumes, at most %u",
				json_array_size(volumes), VOLUMES_MAX);
	if (json_unpack_ex(json_array_get(volumes, index), &je, 0,
			   "{s:s, s:I, s:s, s:s, s:I, s:I, s:b, s:b}", "kind", &kind, "mount",
			   &mount, "source", &v->source, "destination", &v->destination, "dev",
			   &dev, "ino", &ino, "readonly", &readonly, "recursive", &recursive) < 0)
		return err_code(err, EX_DATAERR, "fs.volumes: %s", je.text);
	if (read_kind(kind, &v->kind, err) < 0)
		return -1;
	if (mount < 0 || v->source[0] != '/' || v->destination[0] != '/')
		return err_code(err, EX_DATAERR, "fs.volumes: number %zu is not one", index);
	v->mount = (size_t)mount;
	v->dev = (uint64_t)dev;
	v->ino = (uint64_t)ino;
	v->readonly = readonly;
	v->recursive = recursive;
	volume_path(v->kind, index, v->path);
	return 0;
}

json_t *volume_to_json(const struct volume *v)
{
	return json_pack("{s:s, s:I, s:s, s:s, s:I, s:I, s:b, s:b}", "kind", kinds[v->kind].name,
			 "mount", (json_int_t)v->mount, "source", v->source, "destination",
			 v->destination, "dev", (json_int_t)v->dev, "ino", (json_int_t)v->ino,
			 "readonly", v->readonly, "recursive", v->recursive);
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

static int place(json_t *mounts, const struct volume *v, bool emulated, struct qbx_err *err)
{
	json_t *mount = json_array_get(mounts, v->mount);
	const char *destination = json_string_value(json_object_get(mount, "destination"));

	if (!destination || strcmp(destination, v->destination) != 0) {
		err_code(err, EX_DATAERR,
			 "fs.volumes: the specification has no mount on %.200s as number %zu",
			 v->destination, v->mount);
		return err_hint(err, "it is another one than qbx-fs prepare saw");
	}
	if (json_object_set_new(mount, "source", json_string(v->path)) < 0 ||
	    json_object_set_new(mount, "type", json_string("bind")) < 0)
		return err_sys(err, ENOMEM, "place the volumes");
	if (make_bind(mount, v->recursive, err) < 0)
		return -1;
	return emulated && v->kind == VOLUME_SHARE ? forbid_exec(mount, err) : 0;
}

int volumes_place(json_t *spec, const json_t *volumes, bool emulated, struct qbx_err *err)
{
	json_t *mounts = json_object_get(spec, "mounts");

	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0 || place(mounts, &v, emulated, err) < 0)
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
