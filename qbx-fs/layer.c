/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer.c - prove that a file is an EROFS image, and find the one behind a mount
 *
 * An overlay names directories. What counts is what the kernel has mounted there: statx gives the
 * number of the mount, /proc/self/mountinfo its source, and the loop driver the file below that, by
 * path and by inode. A file whose inode is another one by now is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "fs.h"
#include "io.h"
#include "mountinfo.h"

#define MOUNTINFO_MAX (64u << 20)

struct layer *layers_add(struct layers *l, struct qbx_err *err)
{
	struct layer *grown;

	if (l->n >= LAYERS_MAX) {
		err_code(err, EX_DATAERR, "more than %u layers", LAYERS_MAX);
		return NULL;
	}
	grown = realloc(l->v, (l->n + 1) * sizeof(*grown));
	if (!grown) {
		err_sys(err, ENOMEM, "add a layer");
		return NULL;
	}
	l->v = grown;
	memset(&grown[l->n], 0, sizeof(*grown));
	return &grown[l->n++];
}

static void layer_free(struct layer *l)
{
	free(l->path);
	free(l->from);
}

void layers_free(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		layer_free(&l->v[i]);
	free(l->v);
	memset(l, 0, sizeof(*l));
}

void layers_only_top(struct layers *l)
{
	for (size_t i = 0; i + 1 < l->n; i++)
		layer_free(&l->v[i]);
	l->v[0] = l->v[l->n - 1];
	l->n = 1;
}

void layers_turn(struct layers *l)
{
	for (size_t i = 0; i < l->n / 2; i++) {
		struct layer tmp = l->v[i];

		l->v[i] = l->v[l->n - 1 - i];
		l->v[l->n - 1 - i] = tmp;
	}
}

int layer_found(struct layer *l, enum layer_kind kind, const char *from, struct qbx_err *err)
{
	free(l->from);
	l->kind = kind;
	l->from = strdup(from);
	return l->from ? 0 : err_sys(err, ENOMEM, "%s", from);
}

/* The file itself: fills st and sb from an open descriptor. */
static int prove(struct layer *l, int fd, const char *path, struct qbx_err *err)
{
	uint8_t buf[EROFS_SUPER_LEN];
	ssize_t n;

	if (fstat(fd, &l->st) < 0)
		return err_sys(err, errno, "stat %s", path);
	if (!S_ISREG(l->st.st_mode))
		return err_code(err, EX_DATAERR, "%s: not a regular file", path);
	n = pread(fd, buf, sizeof(buf), EROFS_SUPER_OFFSET);
	if (n < 0)
		return err_sys(err, errno, "read %s", path);
	if (n < (ssize_t)sizeof(buf))
		return err_code(err, EX_DATAERR, "%s: not an EROFS image: %lld bytes long", path,
				(long long)l->st.st_size);
	if (erofs_super_decode(buf, &l->sb, err) < 0)
		return err_wrap(err, "%s", path);
	if (erofs_unsupported(&l->sb)) {
		err_code(err, EX_DATAERR,
			 "%s: an EROFS image with %s, which the guest's kernel does not know", path,
			 erofs_unsupported(&l->sb));
		return err_hint(err, "make the image without it");
	}
	/* A merged image counts the blocks of its devices too: mkfs.c looks at those. */
	if (!l->sb.devices && l->sb.blocks > (uint64_t)l->st.st_size >> l->sb.block_bits)
		return err_code(err, EX_DATAERR, "%s: truncated EROFS image: %lld bytes, not %llu",
				path, (long long)l->st.st_size,
				(unsigned long long)l->sb.blocks << l->sb.block_bits);
	return 0;
}

static int open_image(const char *path, struct qbx_err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ELOOP) {
		err_code(err, EX_DATAERR, "%s: a symbolic link", path);
		return err_hint(err, "name the file itself");
	}
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

static int open_layer(struct layer *l, int fd, const char *path, bool merged, struct qbx_err *err)
{
	if (prove(l, fd, path, err) < 0)
		return -1;
	if (l->sb.devices && !merged) {
		err_code(err, EX_DATAERR, "%s: an EROFS image that needs %u more", path,
			 l->sb.devices);
		return err_hint(err,
				"merged images cannot be merged again: name the layers themselves");
	}
	l->path = strdup(path);
	return l->path ? 0 : err_sys(err, ENOMEM, "%s", path);
}

int layer_open(struct layer *l, const char *path, struct qbx_err *err)
{
	_cleanup_close_ int fd = open_image(path, err);

	return fd < 0 ? -1 : open_layer(l, fd, path, false, err);
}

int layer_open_merged(struct layer *l, const char *path, struct qbx_err *err)
{
	_cleanup_close_ int fd = open_image(path, err);

	return fd < 0 ? -1 : open_layer(l, fd, path, true, err);
}

/* The kernel's encoding of a device number in struct loop_info64. */
static dev_t loop_dev(uint64_t d)
{
	return makedev((unsigned)(d >> 8 & 0xfff), (unsigned)((d & 0xff) | (d >> 12 & 0xfff00)));
}

/* The path of the file that is attached to a loop device; the caller frees it. */
static char *backing_file(unsigned major, unsigned minor, struct qbx_err *err)
{
	char path[80], *text;
	size_t len;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/loop/backing_file", major, minor);
	if (io_read_file(AT_FDCWD, path, PATH_MAX, &text, &len, err) < 0)
		return NULL;
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}

/* What the loop driver says is attached. @source is the device's node. */
static int loop_status(const char *source, dev_t dev, struct loop_info64 *info, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(source, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "open %s", source);
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return err_code(err, EX_UNAVAILABLE, "%s: not the device that is mounted", source);
	if (ioctl(fd, LOOP_GET_STATUS64, info) < 0)
		return err_sys(err, errno, "ask %s for its file", source);
	if (info->lo_offset || info->lo_sizelimit)
		return err_code(err, EX_DATAERR, "%s: shows only a part of its file", source);
	return 0;
}

static int replaced(const char *path, struct qbx_err *err)
{
	err_code(err, EX_DATAERR, "%s: no longer the file that is mounted", path);
	return err_hint(err, "it was replaced: unmount and mount it again");
}

static int from_loop(struct layer *l, const struct mountinfo *m, struct qbx_err *err)
{
	_cleanup_free_ char *path = backing_file(m->major, m->minor, err);
	_cleanup_close_ int fd = -1;
	struct loop_info64 info = { 0 };

	if (!path || loop_status(m->source, makedev(m->major, m->minor), &info, err) < 0)
		return -1;
	fd = open_image(path, err);
	if (fd < 0)
		return err_wrap(err, "behind %s", m->source);
	if (open_layer(l, fd, path, false, err) < 0)
		return -1;
	if (l->st.st_ino == info.lo_inode && l->st.st_dev == loop_dev(info.lo_device))
		return 0;
	return replaced(path, err);
}

/*
 * Newer kernels mount the file itself, and then tell no inode: its path is as it was given to
 * mount(2). The number of blocks is what can be compared.
 */
static int from_file(struct layer *l, const struct mountinfo *m, const char *dir,
		     struct qbx_err *err)
{
	struct statfs fs;

	if (m->source[0] != '/')
		return err_code(err, EX_DATAERR, "EROFS mounted from \"%s\": not an absolute path",
				m->source);
	if (layer_open(l, m->source, err) < 0)
		return -1;
	if (statfs(dir, &fs) < 0)
		return err_sys(err, errno, "statfs");
	if (fs.f_blocks != l->sb.blocks)
		return replaced(m->source, err);
	return 0;
}

/* The number of the mount that @dir is the root of. Return: 1; 0 or -1 as layer_of_mount(). */
static int mount_number(const char *dir, uint64_t *id, struct qbx_err *err)
{
	struct statx sx;

	if (statx(AT_FDCWD, dir, AT_NO_AUTOMOUNT, STATX_TYPE | STATX_MNT_ID, &sx) < 0)
		return err_sys(err, errno, "%s", dir);
	if (!S_ISDIR(sx.stx_mode))
		return err_code(err, EX_DATAERR, "%s: not a directory", dir);
	if (!(sx.stx_mask & STATX_MNT_ID))
		return err_code(err, EX_UNAVAILABLE, "%s: this kernel does not number its mounts",
				dir);
	*id = sx.stx_mnt_id;
	return sx.stx_attributes & sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT ? 1 : 0;
}

/* The EROFS mounted there, whole; the strings of @m are in @text. Return: as layer_of_mount(). */
static int find_mount(const char *dir, char **text, struct mountinfo *m, struct qbx_err *err)
{
	uint64_t id = 0;
	size_t len;
	int r = mount_number(dir, &id, err);

	if (r <= 0)
		return r;
	if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, text, &len, err) < 0)
		return -1;
	r = mountinfo_find(*text, id, m, err);
	if (r < 0)
		return -1;
	if (r == 0) {
		err_code(err, EX_TEMPFAIL, "%s: was unmounted meanwhile", dir);
		return -1;
	}
	return !strcmp(m->fstype, "erofs") && !strcmp(m->root, "/");
}

int layer_of_mount(struct layer *l, const char *dir, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo m = { .id = 0 };
	int r = find_mount(dir, &text, &m, err);

	if (r <= 0)
		return r;
	/* Anonymous device numbers, of file systems without a device, have major number 0. */
	if (m.major ? from_loop(l, &m, err) : from_file(l, &m, dir, err))
		return err_wrap(err, "%s", dir);
	return 1;
}
