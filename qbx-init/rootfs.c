/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.c - a container's root file system
 *
 * The file systems come from images, so no path is resolved through a symlink below the bundle, and
 * the new mount calls are used: their errors come with the file system's own words.
 */
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "io.h"
#include "log.h"
#include "mountopt.h"

#define ROOT_OPTION "X-qemubox.root" /* comes before upperdir */
#define NEW_UPPER ".upper"

/* What a directory is to be. */
struct owner {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* One mount that is being made. */
struct making {
	const char *bundle; /* path */
	int bundle_fd, fs;
	const Qemubox__Task__Mount *m;
	uint64_t attr;
	struct owner root; /* of an overlay, when its upper directory is made */
};

/* Open a directory below another one. Return: O_PATH descriptor, or -1 with errno. */
static int open_beneath(int dirfd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* The same, making what is missing of it. @path has been through path_is_beneath(). */
static int make_beneath(int dirfd, const char *path)
{
	_cleanup_close_ int fd = open_beneath(dirfd, ".");
	char name[256];

	while (fd >= 0 && *path) {
		size_t len = strcspn(path, "/");
		int next;

		memcpy(name, path, len);
		name[len] = '\0';
		if (mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return -1;
		next = open_beneath(fd, name);
		close(fd);
		fd = next;
		path += len + (path[len] == '/');
	}
	return take_fd(&fd);
}

/* The file system's last words, if it has any: "e overlay: ..." becomes "overlay: ...". */
static int fail(const struct making *k, int sys, const char *what, struct qbx_err *err)
{
	char words[300];
	ssize_t n = k->fs >= 0 ? read(k->fs, words, sizeof(words) - 1) : -1;

	if (n > 2) {
		words[n] = '\0';
		err_clean(words);
		err_code(err, EX_UNAVAILABLE, "%s: %s: %s", what, strerror(sys), words + 2);
	} else {
		err_sys(err, sys, "%s", what);
		err->sys = 0; /* not the caller's own ENOENT or EINVAL */
	}
	return -1;
}

/*
 * The directory that shows as the container's root gets its name when it is as it should be: a
 * guest may be killed in between, and the next one take what is there.
 */
static int make_upper(const struct making *k, const char *relative, struct qbx_err *err)
{
	_cleanup_close_ int at = -1, fd = open_beneath(k->bundle_fd, relative);
	char parent[256], *name;

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? fail(k, errno, relative, err) : 0;
	snprintf(parent, sizeof(parent), "%s", relative);
	name = strrchr(parent, '/');
	if (!name)
		return err_code(err, EX_DATAERR, "upperdir \"%s\" has no parent", relative);
	*name++ = '\0';
	at = make_beneath(k->bundle_fd, parent);
	if (at < 0 || (mkdirat(at, NEW_UPPER, 0700) < 0 && errno != EEXIST))
		return fail(k, errno, relative, err);
	if (fchownat(at, NEW_UPPER, k->root.uid, k->root.gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(at, NEW_UPPER, k->root.mode, 0) < 0 || renameat(at, NEW_UPPER, at, name) < 0)
		return fail(k, errno, relative, err);
	return 0;
}

/* A directory option of an overlay: a path below the bundle becomes one that the kernel finds. */
static int set_dir(struct making *k, const char *key, const char *dir, size_t len, bool make,
		   struct qbx_err *err)
{
	char relative[256], path[MOUNTOPT_VALUE_MAX + 1], what[320];
	_cleanup_close_ int fd = -1;

	snprintf(relative, sizeof(relative), "%.*s", (int)len, dir);
	snprintf(what, sizeof(what), "overlay %s \"%.200s\"", key, relative);
	if (len >= sizeof(relative) || !path_is_beneath(relative))
		return err_code(err, EX_DATAERR, "%s is not a path below the bundle", what);
	if (make && !strcmp(key, "upperdir") && make_upper(k, relative, err) < 0)
		return -1;
	fd = make ? make_beneath(k->bundle_fd, relative) : open_beneath(k->bundle_fd, relative);
	if (fd < 0)
		return fail(k, errno, what, err);
	if (snprintf(path, sizeof(path), "%s/%s", k->bundle, relative) >= (int)sizeof(path))
		return fail(k, ENAMETOOLONG, what, err);
	if (fsconfig(k->fs, FSCONFIG_SET_STRING, key, path, 0) < 0)
		return fail(k, errno, what, err);
	return 0;
}

/* Layers one by one: a list would have to fit into one string. */
static int set_layers(struct making *k, const char *list, struct qbx_err *err)
{
	for (;;) {
		size_t len = strcspn(list, ":");

		if (set_dir(k, "lowerdir+", list, len, false, err) < 0)
			return -1;
		if (!list[len])
			return 0;
		list += len + 1;
	}
}

/* "MODE:UID:GID", the first in octal. */
static int parse_owner(const char *text, struct owner *o, struct qbx_err *err)
{
	unsigned mode, uid, gid;
	int end = 0;

	if (sscanf(text, "%4o:%10u:%10u%n", &mode, &uid, &gid, &end) != 3 || text[end] ||
	    text[strspn(text, "0123456789:")])
		return err_code(err, EX_DATAERR, "\"%.40s\" is not MODE:UID:GID", text);
	*o = (struct owner){ mode, uid, gid };
	return 0;
}

static int set_option(struct making *k, const char *text, struct qbx_err *err)
{
	bool overlay = !strcmp(k->m->type, "overlay");
	struct mountopt o;
	char what[128];
	int rc = 0;

	if (mountopt_parse(text, &o, err) < 0)
		return -1;
	snprintf(what, sizeof(what), "%s option \"%.64s\"", k->m->type, text);
	switch (o.kind) {
	case MOUNTOPT_ATTR:
		k->attr = o.clear ? k->attr & ~o.attr : k->attr | o.attr;
		if (o.attr == MOUNT_ATTR_RDONLY && !o.clear)
			rc = fsconfig(k->fs, FSCONFIG_SET_FLAG, "ro", NULL, 0);
		break;
	case MOUNTOPT_FLAG:
		rc = fsconfig(k->fs, FSCONFIG_SET_FLAG, o.name, NULL, 0);
		break;
	case MOUNTOPT_STRING:
		if (overlay && !strcmp(o.name, "lowerdir"))
			return set_layers(k, o.value, err);
		if (overlay && !strcmp(o.name, ROOT_OPTION))
			return parse_owner(o.value, &k->root, err);
		if (overlay && (!strcmp(o.name, "upperdir") || !strcmp(o.name, "workdir")))
			return set_dir(k, o.name, o.value, strlen(o.value), true, err);
		rc = fsconfig(k->fs, FSCONFIG_SET_STRING, o.name, o.value, 0);
		break;
	case MOUNTOPT_NOTHING:
		break;
	}
	return rc < 0 ? fail(k, errno, what, err) : 0;
}

static int set_source(struct making *k, struct qbx_err *err)
{
	const char *source = k->m->source;
	char path[DISK_PATH_MAX];

	if (!strncmp(source, GUEST_DISK_PREFIX, strlen(GUEST_DISK_PREFIX))) {
		if (disk_find(source + strlen(GUEST_DISK_PREFIX), path, err) < 0)
			return -1;
		source = path;
	} else if (source[0] == '/') {
		return err_code(err, EX_DATAERR, "source \"%.200s\" is a path of the host", source);
	}
	if (source[0] && fsconfig(k->fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fail(k, errno, source, err);
	return 0;
}

/* What is wrong with an ext4 it tells the console alone. */
static int fail_create(const struct making *k, int sys, struct qbx_err *err)
{
	fail(k, sys, "create", err);
	if (strcmp(k->m->type, "ext4") != 0)
		return -1;
	return err_hint(err,
			"the file system is damaged: the guest's console has more, and a writable "
			"layer is made anew when its file is removed");
}

static int attach(struct making *k, const char *target, struct qbx_err *err)
{
	_cleanup_close_ int mnt = -1, at = -1;

	if (fsconfig(k->fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_create(k, errno, err);
	mnt = fsmount(k->fs, FSMOUNT_CLOEXEC, (unsigned)k->attr);
	if (mnt < 0)
		return fail(k, errno, "mount", err);
	at = make_beneath(k->bundle_fd, target);
	if (at < 0)
		return fail(k, errno, "create the mount point", err);
	if (move_mount(mnt, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return fail(k, errno, "attach", err);
	return 0;
}

static int mount_one(struct making *k, const char *target, struct qbx_err *err)
{
	static const char *const types[] = { "erofs", "ext4", "overlay", "tmpfs", "virtiofs" };
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		known |= !strcmp(k->m->type, types[i]);
	if (!known)
		return err_code(err, EX_DATAERR, "a guest cannot mount that type");
	if (!path_is_beneath(target))
		return err_code(err, EX_DATAERR, "the target is not a path below the bundle");
	k->fs = fsopen(k->m->type, FSOPEN_CLOEXEC);
	if (k->fs < 0)
		return fail(k, errno, "open the file system type", err);
	if (set_source(k, err) < 0)
		return -1;
	for (size_t i = 0; i < k->m->n_options; i++)
		if (set_option(k, k->m->options[i], err) < 0)
			return -1;
	return attach(k, target, err);
}

int rootfs_mount(const char *bundle, Qemubox__Task__Mount *const *mounts, size_t n,
		 struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return err_sys(err, errno, "open %s", bundle);
	if (n == 0 || n > ROOTFS_MOUNTS_MAX)
		return err_code(err, EX_DATAERR, "%zu mounts for a root file system", n);
	for (size_t i = 0; i < n; i++) {
		struct making k = {
			.bundle = bundle,
			.bundle_fd = dirfd,
			.fs = -1,
			.m = mounts[i],
			.root = { 0755, 0, 0 },
		};
		const char *target = mounts[i]->target[0] ? mounts[i]->target : "rootfs";
		int rc = mount_one(&k, target, err);

		if (k.fs >= 0)
			close(k.fs);
		if (rc < 0)
			return err_wrap(err, "mount %.32s \"%.100s\" on %.100s", mounts[i]->type,
					mounts[i]->source, target);
	}
	return 0;
}

/* The mount point in a line of mountinfo, if it is below @bundle: proc(5), fifth field. */
static char *mount_point(char *line, const char *bundle)
{
	char *p = line;
	size_t len = strlen(bundle);

	for (int field = 0; p && field < 4; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return NULL;
	p[strcspn(p, " \n")] = '\0';
	return !strncmp(p, bundle, len) && p[len] == '/' ? p : NULL;
}

/* Unmount the last mount below @bundle. Return: 1, 0 if there was none, or -1 with @err. */
static int unmount_last(const char *bundle, struct qbx_err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL, *last = NULL;
	size_t size = 0;

	if (!f)
		return err_sys(err, errno, "open /proc/self/mountinfo");
	while (getline(&line, &size, f) > 0) {
		const char *point = mount_point(line, bundle);

		if (!point)
			continue;
		free(last);
		last = strdup(point);
		if (!last)
			return err_sys(err, ENOMEM, "unmount");
	}
	if (!last)
		return 0;
	if (umount2(last, UMOUNT_NOFOLLOW) == 0)
		return 1;
	log_warn("unmount %s: %s: detaching it", last, strerror(errno));
	if (umount2(last, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
		return err_sys(err, errno, "unmount %s", last);
	return 1;
}

int rootfs_unmount(const char *bundle, struct qbx_err *err)
{
	int rc;

	do
		rc = unmount_last(bundle, err);
	while (rc > 0);
	return rc;
}
