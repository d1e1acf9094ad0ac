/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volumes.c - the mounts of the OCI specification that are the host's
 *
 * A path of the host means nothing in a guest. What is found there now decides what it becomes; its
 * device and inode number are written down, so that what is opened later is that and nothing else.
 * Magic links, as in /proc/PID/fd, are not followed: they lead to what no path names.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "files.h"
#include "fs.h"
#include "json.h"
#include "volumes.h"

/* A mount of the specification that is a bind. */
struct bind {
	const char *destination;
	char source[PATH_MAX]; /* absolute */
	bool readonly, recursive;
};

/* ---- what the specification says ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Is it a bind? The last word on a question counts, as with mount(8). */
static bool read_options(const json_t *mount, struct bind *b)
{
	const char *type = string_of(mount, "type");
	json_t *options = json_object_get(mount, "options"), *option;
	bool is_bind = !strcmp(type, "bind");
	size_t i;

	json_array_foreach (options, i, option) {
		const char *text = json_string_value(option);

		if (!text)
			continue;
		if (!strcmp(text, "ro") || !strcmp(text, "rro") || !strcmp(text, "rw"))
			b->readonly = text[1] != 'w';
		else if (!strcmp(text, "bind") || !strcmp(text, "rbind"))
			is_bind = true;
		b->recursive |= !strcmp(text, "rbind");
	}
	return is_bind;
}

/* Return: 1 with @b filled; 0 if the mount is none of the host's; -1 with @err. */
static int read_bind(const json_t *mount, const char *bundle, struct bind *b, struct qbx_err *err)
{
	const char *source = string_of(mount, "source");
	int n;

	memset(b, 0, sizeof(*b));
	if (!read_options(mount, b))
		return 0;
	b->destination = string_of(mount, "destination");
	if (b->destination[0] != '/')
		return err_code(err, EX_DATAERR, "mount on \"%.200s\": not an absolute path",
				b->destination);
	if (!source[0] || (source[0] != '/' && !bundle))
		return err_code(err, EX_DATAERR, "mount on %.200s: source \"%.200s\" is no path",
				b->destination, source);
	n = snprintf(b->source, sizeof(b->source), "%s%s%s", source[0] == '/' ? "" : bundle,
		     source[0] == '/' ? "" : "/", source);
	if (n >= (int)sizeof(b->source))
		return err_sys(err, ENAMETOOLONG, "mount on %.200s", b->destination);
	return 1;
}

/* ---- what is there ---- */

/* Windows to the kernel of the host, which would be sent through as if they were files. */
static bool is_kernel(int fd)
{
	static const unsigned long magic[] = {
		PROC_SUPER_MAGIC,   SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEBUGFS_MAGIC,	    TRACEFS_MAGIC,  SECURITYFS_MAGIC,	BPF_FS_MAGIC,
		DEVPTS_SUPER_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC,	NSFS_MAGIC,
		BINFMTFS_MAGIC,	    SELINUX_MAGIC,
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(magic); i++)
		if ((unsigned long)st.f_type == magic[i])
			return true;
	return false;
}

/* Those that the guest's own would stand for: what a container writes to them concerns nobody else. */
static bool is_of_the_box(const char *destination)
{
	return !strcmp(destination, "/etc/hosts") || !strcmp(destination, "/etc/hostname") ||
	       !strcmp(destination, "/etc/resolv.conf");
}

static int refuse(const struct bind *b, const char *why, const char *hint, struct qbx_err *err)
{
	err_code(err, EX_DATAERR, "mount on %.200s: %.300s is %s", b->destination, b->source, why);
	return err_hint(err, "%s", hint);
}

static int judge(const struct bind *b, int fd, const struct stat *st, enum volume_kind *kind,
		 struct qbx_err *err)
{
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return refuse(b,
			      S_ISSOCK(st->st_mode)   ? "a socket"
			      : S_ISFIFO(st->st_mode) ? "a FIFO"
						      : "a device",
			      "a box can have directories and regular files of the host", err);
	if (is_kernel(fd))
		return refuse(b, "of the host's kernel",
			      "a box has its own: mount proc, sysfs or cgroup there", err);
	*kind = S_ISREG(st->st_mode) && st->st_size <= (off_t)FILES_CONTENT_MAX &&
				(b->readonly || is_of_the_box(b->destination))
			? VOLUME_FILE
			: VOLUME_SHARE;
	return 0;
}

static int open_source(const struct bind *b, struct stat *st, struct qbx_err *err)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, b->source, &how, sizeof(how));

	if (fd < 0 || fstat(fd, st) < 0) {
		err_sys(err, errno, "mount on %.200s: %.300s", b->destination, b->source);
		err->code = EX_DATAERR;
		return -1;
	}
	return take_fd(&fd);
}

static json_t *make_volume(const struct bind *b, size_t mount, struct qbx_err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_source(b, &st, err);
	struct volume v = {
		.mount = mount,
		.source = b->source,
		.destination = b->destination,
		.readonly = b->readonly,
		.recursive = b->recursive,
	};
	json_t *j;

	if (fd < 0 || judge(b, fd, &st, &v.kind, err) < 0)
		return NULL;
	v.dev = st.st_dev;
	v.ino = st.st_ino;
	j = volume_to_json(&v);
	if (!j)
		err_code(err, EX_DATAERR, "mount on %.200s: a path that is not UTF-8",
			 b->destination);
	return j;
}

/* ---- the document ---- */

static json_t *list_volumes(const json_t *spec, const char *bundle, struct qbx_err *err)
{
	json_auto_t *volumes = json_array();
	json_t *mounts = json_object_get(spec, "mounts"), *mount;
	size_t i;

	json_array_foreach (mounts, i, mount) {
		struct bind b;
		json_t *volume;
		int r = read_bind(mount, bundle, &b, err);

		if (r < 0)
			return NULL;
		if (r == 0)
			continue;
		if (json_array_size(volumes) == VOLUMES_MAX) {
			err_code(err, EX_DATAERR, "more than %u mounts of the host's", VOLUMES_MAX);
			return NULL;
		}
		volume = make_volume(&b, i, err);
		if (!volume || json_array_append_new(volumes, volume) < 0)
			return NULL;
	}
	return json_incref(volumes);
}

/* The share stands before the root file system does, as it needs nothing of that. */
static int add_share(json_t *mounts)
{
	return json_array_insert_new(mounts, 0,
				     json_pack("{s:s, s:s, s:s, s:[]}", "type", "virtiofs",
					       "source", VOLUMES_SHARES, "target", VOLUMES_SHARES,
					       "options"));
}

int volumes_add(json_t *fs, const struct box *box, struct qbx_err *err)
{
	const char *bundle = json_string_value(json_object_get(box->doc, "bundle"));
	json_auto_t *spec = box_spec(box, err), *volumes = NULL;
	bool shared = false;

	if (!spec)
		return err->code ? -1 : 0;
	volumes = list_volumes(spec, bundle, err);
	if (!volumes)
		return err->code ? -1 : err_sys(err, ENOMEM, "list the volumes");
	if (json_array_size(volumes) == 0)
		return 0;
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0)
			return -1;
		shared |= v.kind == VOLUME_SHARE;
	}
	if (json_object_set(fs, "volumes", volumes) < 0 ||
	    (shared && add_share(json_object_get(fs, "mounts")) < 0))
		return err_sys(err, ENOMEM, "write the document");
	return 0;
}

void volumes_plan(const json_t *volumes)
{
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct qbx_err err = { 0 };
		struct volume v;

		if (volume_read(volumes, i, &v, &err) == 0)
			plan_line("%s %s as %s of the bundle%s, for %s",
				  v.kind == VOLUME_SHARE ? "share" : "send", v.source, v.path,
				  v.readonly ? ", read-only" : "", v.destination);
	}
}
