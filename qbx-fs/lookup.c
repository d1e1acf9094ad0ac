/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.c - what a directory is in layers that nobody has mounted
 *
 * Only directories are looked through, and inodes are read: neither is ever compressed by mkfs.erofs as
 * layers are made. Whoever made an image may have written anything into it: every place is checked
 * against the file by reading it, and a walk has as many steps as the path has names.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"

#define DIR_SIZE_MAX (64u << 20)
#define IMPLICIT_MODE 0777 /* of the root that mkfs.erofs makes when a tar archive names none */

static int read_at(const struct layer *l, int fd, void *buf, size_t len, uint64_t offset,
		   struct qbx_err *err)
{
	ssize_t n = offset < INT64_MAX ? pread(fd, buf, len, (off_t)offset) : 0;

	if (n < 0)
		return err_sys(err, errno, "read %s", l->path);
	if ((size_t)n < len)
		memset((char *)buf + n, 0, len - (size_t)n);
	return n > 0 ? 0
		     : err_code(err, EX_DATAERR, "%s: damaged EROFS image: nothing at %llu",
				l->path, (unsigned long long)offset);
}

static int read_inode(const struct layer *l, int fd, uint64_t number, uint64_t *place,
		      struct erofs_inode *inode, struct qbx_err *err)
{
	uint8_t buf[EROFS_INODE_SIZE];

	memset(inode, 0, sizeof(*inode));
	if (number > UINT64_MAX / EROFS_INODE_SLOT / 2)
		return err_code(err, EX_DATAERR, "%s: damaged EROFS image: an inode's number",
				l->path);
	*place = l->sb.meta_offset + number * EROFS_INODE_SLOT;
	if (read_at(l, fd, buf, sizeof(buf), *place, err) < 0)
		return -1;
	if (erofs_inode_decode(buf, l->sb.build_time, inode, err) < 0)
		return err_wrap(err, "%s", l->path);
	return 0;
}

/* Look for a name in a directory, whose inode is at @place. Return: 1, 0, or -1 with @err. */
static int find(const struct layer *l, int fd, const struct erofs_inode *dir, uint64_t place,
		const char *name, size_t len, uint64_t *number, struct qbx_err *err)
{
	size_t block = (size_t)1 << l->sb.block_bits;
	_cleanup_free_ uint8_t *buf = NULL;

	if (dir->size > DIR_SIZE_MAX)
		return err_code(err, EX_DATAERR, "%s: a directory of %llu bytes", l->path,
				(unsigned long long)dir->size);
	buf = malloc(block);
	if (!buf)
		return err_sys(err, ENOMEM, "%s", l->path);
	for (uint64_t at = 0; at < dir->size; at += block) {
		size_t n = dir->size - at < block ? (size_t)(dir->size - at) : block;
		bool tail = dir->tail && n < block;
		int r = read_at(l, fd, buf, n,
				tail ? place + dir->tail
				     : ((uint64_t)dir->where << l->sb.block_bits) + at,
				err);

		if (r == 0) {
			r = erofs_dir_find(buf, n, name, len, number, err);
			if (r < 0)
				err_wrap(err, "%s", l->path);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

/* The path in one layer. Return: 1; 0: it says nothing of it; 2: it hides it; or -1 with @err. */
static int walk(const struct layer *l, int fd, const char *path, struct erofs_inode *inode,
		struct qbx_err *err)
{
	uint64_t number = l->sb.root, place = 0;

	for (;;) {
		size_t len = strcspn(path, "/");
		int r;

		if (read_inode(l, fd, number, &place, inode, err) < 0)
			return -1;
		if (!S_ISDIR(inode->mode))
			return 2;
		if (!*path)
			return 1;
		r = find(l, fd, inode, place, path, len, &number, err);
		if (r <= 0)
			return r;
		path += len + (path[len] == '/');
	}
}

static int in_layer(const struct layer *l, const char *path, struct erofs_inode *inode,
		    struct qbx_err *err)
{
	_cleanup_close_ int fd = open(l->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	memset(inode, 0, sizeof(*inode));
	return fd < 0 ? err_sys(err, errno, "open %s", l->path) : walk(l, fd, path, inode, err);
}

static void take(struct dir_owner *o, const struct erofs_inode *inode)
{
	*o = (struct dir_owner){ inode->mode & 07777, inode->uid, inode->gid, inode->mtime };
}

int lookup_dir(const struct layer *v, size_t n, const char *path, struct dir_owner *o,
	       struct qbx_err *err)
{
	*o = (struct dir_owner){ .mode = 0755 };
	while (n-- > 0) {
		struct erofs_inode inode;
		int r = in_layer(&v[n], path, &inode, err);

		if (r < 0)
			return -1;
		if (r == 1)
			take(o, &inode);
		if (r != 0)
			return 0;
	}
	return 0;
}

int lookup_root(const struct layers *l, struct dir_owner *o, const struct layer **from,
		struct qbx_err *err)
{
	*o = (struct dir_owner){ .mode = 0755 };
	*from = NULL;
	for (size_t i = l->n; i-- > 0;) {
		struct erofs_inode inode;
		int r = l->v[i].planned ? 0 : in_layer(&l->v[i], "", &inode, err);

		if (r < 0)
			return -1;
		if (r == 2)
			return err_code(err, EX_DATAERR,
					"%s: damaged EROFS image: its root is no directory",
					l->v[i].path);
		if (r == 0)
			continue;
		if ((inode.mode & 07777) == IMPLICIT_MODE && !inode.uid && !inode.gid &&
		    !inode.mtime)
			continue;
		*from = &l->v[i];
		take(o, &inode);
		return 0;
	}
	return 0;
}
