/* SPDX-License-Identifier: Apache-2.0 */
/* mountopt.c - mount options as text */
#include "mountopt.h"

#include <string.h>
#include <sys/mount.h>

static const struct {
	const char *name;
	uint64_t attr;
	bool clear;
} attributes[] = {
	{ "ro", MOUNT_ATTR_RDONLY, false },
	{ "rw", MOUNT_ATTR_RDONLY, true },
	{ "nosuid", MOUNT_ATTR_NOSUID, false },
	{ "suid", MOUNT_ATTR_NOSUID, true },
	{ "nodev", MOUNT_ATTR_NODEV, false },
	{ "dev", MOUNT_ATTR_NODEV, true },
	{ "noexec", MOUNT_ATTR_NOEXEC, false },
	{ "exec", MOUNT_ATTR_NOEXEC, true },
	{ "noatime", MOUNT_ATTR_NOATIME, false },
	{ "atime", MOUNT_ATTR_NOATIME, true },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, false },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, false },
	{ "relatime", MOUNT_ATTR_RELATIME, false },
};

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(text, *list))
			return true;
	return false;
}

int mountopt_parse(const char *text, struct mountopt *o, struct qbx_err *err)
{
	static const char *const idle[] = { "defaults", "loop", "async", NULL };
	static const char *const refused[] = { "bind", "rbind", "remount", "move", NULL };
	size_t len = strcspn(text, "=");

	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (strcmp(text, attributes[i].name))
			continue;
		o->kind = MOUNTOPT_ATTR;
		o->attr = attributes[i].attr;
		o->clear = attributes[i].clear;
		return 0;
	}
	if (is_one_of(text, refused))
		return err_code(err, EX_DATAERR, "mount option \"%s\" means nothing in a guest",
				text);
	if (is_one_of(text, idle)) {
		o->kind = MOUNTOPT_NOTHING;
		return 0;
	}
	if (len == 0 || len >= sizeof(o->name))
		return err_code(err, EX_DATAERR, "mount option \"%.64s\" is not one", text);
	memcpy(o->name, text, len);
	o->kind = text[len] ? MOUNTOPT_STRING : MOUNTOPT_FLAG;
	o->value = text[len] ? text + len + 1 : NULL;
	return 0;
}

bool path_is_beneath(const char *path)
{
	if (strlen(path) > 255 || !*path)
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && !strncmp(path, "..", 2)))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}
