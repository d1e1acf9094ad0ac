/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - which options of a root file system's mounts are understood
 *
 * What an option asks for is done, or is the host's affair, or is refused: one that nobody has heard of may
 * ask for another tree, or for a tree that is checked.
 */
#include <string.h>

#include "fs.h"
#include "template.h"
#include "volumes.h"

/* Beside those for any file system. One that ends in "=" is any with that beginning. */
static const struct known {
	const char *type; /* of rootfs_type() */
	const char *option;
} known[] = {
	/* what is read, or written to */
	{ "overlay", "lowerdir=" },
	{ "overlay", "upperdir=" },
	{ "overlay", "workdir=" },
	{ "erofs", "device=" },
	/* how a host would do it: Linux, Documentation/filesystems/{overlayfs,erofs,ext4} */
	{ "overlay", "default_permissions" },
	{ "overlay", "index=" },
	{ "overlay", "metacopy=" },
	{ "overlay", "nfs_export=" },
	{ "overlay", "redirect_dir=" },
	{ "overlay", "uuid=" },
	{ "overlay", "volatile" },
	{ "overlay", "xino=" },
	{ "erofs", "loop" },
	{ "erofs", "acl" },
	{ "erofs", "cache_strategy=" },
	{ "erofs", "dax=" },
	{ "erofs", "directio" },
	{ "erofs", "user_xattr" },
	{ "ext4", "loop" },
	{ "ext4", "discard" },
	/* the host's labels, which no guest has */
	{ "overlay", "context=" },
	{ "erofs", "context=" },
	{ "ext4", "context=" },
};

/* What is known, but is not to be had. */
static const struct refused {
	const char *begins, *why, *hint;
} refused[] = {
	{ "uidmap=", "owners are not mapped",
	  "the guest has a kernel of its own: leave user namespaces out" },
	{ "gidmap=", "owners are not mapped",
	  "the guest has a kernel of its own: leave user namespaces out" },
	{ "X-containerd.dmverity", "layers are not checked by dm-verity",
	  "set dmverity_mode = \"off\" for containerd's erofs snapshotter" },
	{ "X-containerd.mkfs.", "no file system is made for containerd",
	  "set no default_size for its erofs snapshotter: a box has a disk to write to anyhow" },
	{ "userxattr", "overlayfs's marks are read from trusted.overlay only",
	  "have the snapshotter run as root" },
};

static bool is_known(const char *type, const char *option)
{
	if (!*option || volume_option_is_generic(option))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		size_t len = strlen(known[i].option);

		if (strcmp(known[i].type, type) != 0 || strncmp(known[i].option, option, len) != 0)
			continue;
		if (known[i].option[len - 1] == '=' || !option[len])
			return true;
	}
	return false;
}

static int check(const char *type, const char *option, struct qbx_err *err)
{
	struct template_mkdir mkdir;
	int r = template_mkdir(option, &mkdir, err);

	if (r != 0)
		return r < 0 ? err_wrap(err, "rootfs") : 0;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (strncmp(option, refused[i].begins, strlen(refused[i].begins)) != 0)
			continue;
		err_code(err, EX_DATAERR, "rootfs: option \"%.120s\": %s", option, refused[i].why);
		return err_hint(err, "%s", refused[i].hint);
	}
	if (is_known(type, option))
		return 0;
	err_code(err, EX_DATAERR,
		 "rootfs: option \"%.120s\" of a mount of type \"%.40s\" is not understood", option,
		 type);
	return err_hint(err, "have the snapshotter leave it out");
}

int rootfs_check_options(const struct rootfs_mount *m, struct qbx_err *err)
{
	bool format;
	const char *type = rootfs_type(m->type, &format);

	for (const char **o = m->options; *o; o++)
		if (check(type, *o, err) < 0)
			return -1;
	return 0;
}
