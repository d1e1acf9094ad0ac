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
#include <sys/sysmacros.h>

#include "files.h"
#include "fs.h"
#include "json.h"
#include "volumes.h"

/* A mount of the specification that is of the host's, or one of its devices. */
struct bind {
	const char *destination;
	char source[PATH_MAX]; /* absolute */
	const char *fstype;    /* a file system on a disk; "" for a bind */
	size_t index;
	bool device; /* one of linux.devices */
	bool readonly, recursive;
};

/* ---- what the specification says ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Those that a guest mounts from a disk. */
static bool is_on_disk(const char *type)
{
	return !strcmp(type, "ext4") || !strcmp(type, "erofs");
}

/* Is it of the host's? The last word on a question counts, as with mount(8). */
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
	b->fstype = !is_bind && is_on_disk(type) ? type : "";
	return is_bind || b->fstype[0];
}

/* Return: 1 with @b filled; 0 if the mount is none of the host's; -1 with @err. */
static int read_bind(const json_t *mount, const char *bundle, struct bind *b, struct qbx_err *err)
{
	const char *source = string_of(mount, "source");
	int n;

	memset(b, 0, sizeof(*b));
	b->fstype = "";
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

/* What CRI gives every container is a tmpfs of the host's, for all in a sandbox to share. */
static bool is_shm(const struct bind *b, int fd, uint64_t *size)
{
	struct statfs st;

	if (strcmp(b->destination, "/dev/shm") != 0 || fstatfs(fd, &st) < 0 ||
	    (unsigned long)st.f_type != TMPFS_MAGIC)
		return false;
	*size = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
	return true;
}

static int judge(const struct bind *b, int fd, const struct stat *st, struct volume *v,
		 struct qbx_err *err)
{
	const char *what = S_ISSOCK(st->st_mode)   ? "a socket"
			   : S_ISFIFO(st->st_mode) ? "a FIFO"
			   : S_ISCHR(st->st_mode)  ? "a character device"
			   : S_ISDIR(st->st_mode)  ? "a directory"
						   : "a regular file";

	if (b->fstype[0] || b->device || S_ISBLK(st->st_mode)) {
		v->kind = b->fstype[0] ? VOLUME_DISK : VOLUME_BLOCK;
		if (S_ISBLK(st->st_mode) || (S_ISREG(st->st_mode) && b->fstype[0]))
			return 0;
		return refuse(b, what, "a block device, or a disk image in a file, can be mounted",
			      err);
	}
	if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
		return refuse(b, what,
			      "a box can have directories, files and block devices of the host",
			      err);
	if (is_kernel(fd))
		return refuse(b, "of the host's kernel",
			      "a box has its own: mount proc, sysfs or cgroup there", err);
	if (S_ISDIR(st->st_mode) && is_shm(b, fd, &v->size)) {
		v->kind = VOLUME_SHM;
		return 0;
	}
	v->kind = S_ISREG(st->st_mode) && st->st_size <= (off_t)FILES_CONTENT_MAX &&
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

static json_t *make_volume(const struct bind *b, struct qbx_err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_source(b, &st, err);
	struct volume v = {
		.index = b->index,
		.device = b->device,
		.fstype = b->fstype,
		.source = b->source,
		.destination = b->destination,
		.readonly = b->readonly,
		.recursive = b->recursive,
	};
	json_t *j;

	if (fd < 0 || judge(b, fd, &st, &v, err) < 0)
		return NULL;
	v.dev = st.st_dev;
	v.ino = st.st_ino;
	j = volume_to_json(&v);
	if (!j)
		err_code(err, EX_DATAERR, "mount on %.200s: a path that is not UTF-8",
			 b->destination);
	return j;
}

/* ---- devices ---- */

/* Does the specification allow every device? Then it names all that the host has, and means none. */
static bool allows_all(const json_t *rules)
{
	bool all = false;
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		const char *type = string_of(rule, "type");

		if ((!type[0] || !strcmp(type, "a")) && !json_object_get(rule, "major") &&
		    !json_object_get(rule, "minor"))
			all = json_is_true(json_object_get(rule, "allow"));
	}
	return all;
}

/* May it be written to? */
static bool may_write(const json_t *rules, json_int_t major, json_int_t minor)
{
	bool may = false;
	json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule)
		if (!strcmp(string_of(rule, "type"), "b") &&
		    json_integer_value(json_object_get(rule, "major")) == major &&
		    json_integer_value(json_object_get(rule, "minor")) == minor &&
		    strchr(string_of(rule, "access"), 'w'))
			may = json_is_true(json_object_get(rule, "allow"));
	return may;
}

/* Where the host has it: mostly where the container wants it, else where udev has all of them. */
static int find_node(struct bind *b, dev_t rdev, struct qbx_err *err)
{
	struct stat st;

	snprintf(b->source, sizeof(b->source), "%s", b->destination);
	if (stat(b->source, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == rdev)
		return 0;
	snprintf(b->source, sizeof(b->source), "/dev/block/%u:%u", major(rdev), minor(rdev));
	if (stat(b->source, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == rdev)
		return 0;
	return err_code(err, EX_DATAERR, "device %.200s: the host has no node for block %u:%u",
			b->destination, major(rdev), minor(rdev));
}

/* Return: 1 with @b filled; 0 if it is no block device; -1 with @err. */
static int read_device(const json_t *device, const json_t *rules, struct bind *b,
		       struct qbx_err *err)
{
	json_int_t maj = json_integer_value(json_object_get(device, "major"));
	json_int_t min = json_integer_value(json_object_get(device, "minor"));

	memset(b, 0, sizeof(*b));
	if (strcmp(string_of(device, "type"), "b") != 0)
		return 0;
	b->destination = string_of(device, "path");
	b->fstype = "";
	b->device = true;
	b->readonly = !may_write(rules, maj, min);
	if (b->destination[0] != '/' || strlen(b->destination) >= PATH_MAX || maj < 0 ||
	    maj > 0xfff || min < 0 || min > 0xfffff)
		return err_code(err, EX_DATAERR, "linux.devices: \"%.200s\" is not one",
				b->destination);
	return find_node(b, makedev((unsigned)maj, (unsigned)min), err) < 0 ? -1 : 1;
}

/* ---- the document ---- */

static int add_volume(json_t *volumes, const struct bind *b, struct qbx_err *err)
{
	json_t *volume;

	if (json_array_size(volumes) == VOLUMES_MAX)
		return err_code(err, EX_DATAERR, "more than %u mounts of the host's", VOLUMES_MAX);
	volume = make_volume(b, err);
	if (!volume)
		return -1;
	return json_array_append_new(volumes, volume) < 0 ? err_sys(err, ENOMEM, "list the volumes")
							  : 0;
}

static int list_mounts(json_t *volumes, const json_t *spec, const char *bundle, struct qbx_err *err)
{
	json_t *mounts = json_object_get(spec, "mounts"), *mount;
	size_t i;

	json_array_foreach (mounts, i, mount) {
		struct bind b;
		int r = read_bind(mount, bundle, &b, err);

		b.index = i;
		if (r < 0 || (r > 0 && add_volume(volumes, &b, err) < 0))
			return -1;
	}
	return 0;
}

static int list_devices(json_t *volumes, const json_t *spec, struct qbx_err *err)
{
	const json_t *linux_ = json_object_get(spec, "linux");
	const json_t *rules = json_object_get(json_object_get(linux_, "resources"), "devices");
	json_t *devices = json_object_get(linux_, "devices"), *device;
	size_t i;

	if (allows_all(rules))
		return 0;
	json_array_foreach (devices, i, device) {
		struct bind b;
		int r = read_device(device, rules, &b, err);

		b.index = i;
		if (r < 0 || (r > 0 && add_volume(volumes, &b, err) < 0))
			return -1;
	}
	return 0;
}

/* The share stands before the root file system does, as it needs nothing of that. */
static int add_share(json_t *mounts)
{
	return json_array_insert_new(mounts, 0,
				     json_pack("{s:s, s:s, s:s, s:[]}", "type", "virtiofs",
					       "source", VOLUMES_SHARES, "target", VOLUMES_SHARES,
					       "options"));
}

static int add_disk(json_t *disks, const struct volume *v, size_t number)
{
	return json_array_append_new(
		disks, json_pack("{s:o, s:s, s:s, s:b, s:[o]}", "serial",
				 json_sprintf(VOLUMES_SERIAL "%zu", number), "path", v->source,
				 "format", "raw", "readonly", v->readonly, "inodes",
				 json_sprintf("%llx:%llx", (unsigned long long)v->dev,
					      (unsigned long long)v->ino)));
}

/* The file system's own options are for this mount, the others for the bind of it. */
static int add_disk_mount(json_t *mounts, const struct volume *v, size_t number, const json_t *spec)
{
	const json_t *mount = json_array_get(json_object_get(spec, "mounts"), v->index);
	json_t *given = json_object_get(mount, "options"), *option;
	json_t *options = v->readonly ? json_pack("[s]", "ro") : json_array();
	size_t i;

	json_array_foreach (given, i, option)
		if (json_is_string(option) && !volume_option_is_generic(json_string_value(option)))
			json_array_append(options, option);
	return json_array_insert_new(mounts, 0,
				     json_pack("{s:s, s:o, s:s, s:o}", "type", v->fstype, "source",
					       json_sprintf("disk:" VOLUMES_SERIAL "%zu", number),
					       "target", v->path, "options", options));
}

/* What the VM and the guest need for these. */
static int furnish(json_t *fs, const json_t *volumes, const json_t *spec, struct qbx_err *err)
{
	json_t *mounts = json_object_get(fs, "mounts");
	bool shared = false;
	int rc = 0;

	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0)
			return -1;
		if (v.kind == VOLUME_DISK || v.kind == VOLUME_BLOCK)
			rc |= add_disk(json_object_get(fs, "disks"), &v, i);
		if (v.kind == VOLUME_DISK)
			rc |= add_disk_mount(mounts, &v, i, spec);
		if (v.kind == VOLUME_SHARE && !shared)
			rc |= add_share(mounts);
		shared |= v.kind == VOLUME_SHARE;
	}
	return rc < 0 ? err_sys(err, ENOMEM, "write the document") : 0;
}

int volumes_add(json_t *fs, const struct box *box, struct qbx_err *err)
{
	const char *bundle = json_string_value(json_object_get(box->doc, "bundle"));
	json_auto_t *spec = box_spec(box, err), *volumes = json_array();
	int r;

	if (!spec)
		return err->code ? -1 : 0;
	r = list_mounts(volumes, spec, bundle, err);
	if (r == 0)
		r = list_devices(volumes, spec, err);
	if (json_array_size(volumes) == 0)
		return r;
	if (json_object_set(fs, "volumes", volumes) < 0)
		return err_sys(err, ENOMEM, "write the document");
	return r < 0 ? -1 : furnish(fs, volumes, spec, err);
}

void volumes_plan(const json_t *volumes)
{
	static const char *const does[] = { [VOLUME_SHARE] = "share",
					    [VOLUME_FILE] = "send",
					    [VOLUME_DISK] = "attach and mount",
					    [VOLUME_BLOCK] = "attach",
					    [VOLUME_SHM] = "replace" };

	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct qbx_err err = { 0 };
		struct volume v;

		if (volume_read(volumes, i, &v, &err) == 0)
			plan_line("%s %s as %s%s, for %s", does[v.kind], v.source, v.path,
				  v.readonly ? ", read-only" : "", v.destination);
	}
}
