/* SPDX-License-Identifier: Apache-2.0 */
/* ext4fs.c - read an ext4 file system that a guest has written: all but extended attributes */
#include "ext4fs.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "le.h"

#define SUPER_OFFSET 1024u
#define SUPER_LEN 1024u
#define MAGIC 0xef53u

#define INCOMPAT_RECOVER 0x4u
#define INCOMPAT_64BIT 0x80u
#define INCOMPAT_KNOWN (0x2u | 0x40u | INCOMPAT_64BIT | 0x200u) /* filetype, extents, flex_bg */

#define FLAG_EXTENTS 0x80000u
#define FLAGS_UNKNOWN \
	(0x800u | 0x200000u | 0x10000000u) /* encrypted, a value's inode, inline data */

#define EXTENT_MAGIC 0xf30au
#define EXTENT_DEPTH_MAX 5u
#define EXTENT_UNWRITTEN 32768u
#define NODES_MAX (1u << 20) /* blocks of one file's extent tree */

static int damaged(struct qbx_err *err, const char *what)
{
	err_code(err, EX_DATAERR, "the file system is damaged: %s", what);
	return -1;
}

static int read_at(const struct ext4fs *fs, uint64_t offset, void *buf, size_t len,
		   struct qbx_err *err)
{
	return fs->read(fs->arg, offset, buf, len) < 0
		       ? err_sys(err, errno, "read the file system at %llu",
				 (unsigned long long)offset)
		       : 0;
}

static int read_block(const struct ext4fs *fs, uint64_t block, uint8_t *buf, struct qbx_err *err)
{
	if (block == 0 || block >= fs->blocks)
		return damaged(err, "a block beyond its end");
	return read_at(fs, block * EXT4FS_BLOCK, buf, EXT4FS_BLOCK, err);
}

/* ---- superblock and inodes ---- */

static int check_features(uint32_t incompat, struct qbx_err *err)
{
	if (incompat & INCOMPAT_RECOVER)
		return err_code(err, EX_TEMPFAIL,
				"the file system is in use, or was when its guest ended");
	if (incompat & ~INCOMPAT_KNOWN)
		return err_code(err, EX_DATAERR,
				"the file system has features 0x%x that are not ours",
				incompat & ~INCOMPAT_KNOWN);
	return 0;
}

int ext4fs_open(struct ext4fs *fs, ext4fs_read_fn *read, void *arg, struct qbx_err *err)
{
	uint8_t s[SUPER_LEN];
	uint32_t incompat;

	memset(fs, 0, sizeof(*fs));
	fs->read = read;
	fs->arg = arg;
	if (read_at(fs, SUPER_OFFSET, s, sizeof(s), err) < 0)
		return -1;
	if (le16(s + 0x38) != MAGIC)
		return damaged(err, "no ext4 superblock");
	incompat = le32(s + 0x60);
	if (check_features(incompat, err) < 0)
		return -1;
	fs->inodes = le32(s);
	fs->blocks = le32(s + 4);
	if (incompat & INCOMPAT_64BIT)
		fs->blocks |= (uint64_t)le32(s + 0x150) << 32;
	fs->inodes_per_group = le32(s + 0x28);
	fs->desc_len = incompat & INCOMPAT_64BIT ? le16(s + 0xfe) : 32;
	if (le32(s + 0x18) != 2 || le32(s + 0x14) != 0 || le16(s + 0x58) != EXT4FS_INODE_LEN ||
	    fs->blocks >= UINT64_MAX / EXT4FS_BLOCK || fs->inodes_per_group == 0 ||
	    (fs->desc_len != 32 && fs->desc_len != 64))
		return damaged(err, "a superblock that is not ours");
	return 0;
}

static int inode_table(const struct ext4fs *fs, uint32_t group, uint64_t *table,
		       struct qbx_err *err)
{
	uint8_t d[64];

	if (read_at(fs, EXT4FS_BLOCK + (uint64_t)group * fs->desc_len, d, fs->desc_len, err) < 0)
		return -1;
	*table = le32(d + 8);
	if (fs->desc_len == 64)
		*table |= (uint64_t)le32(d + 0x28) << 32;
	if (*table == 0 || *table >= fs->blocks)
		return damaged(err, "an inode table beyond its end");
	return 0;
}

/* The kernel's two encodings of a device number. */
static void decode_device(struct ext4fs_inode *i)
{
	uint32_t old = le32(i->raw + 0x28), new = le32(i->raw + 0x2c);

	if (old) {
		i->major = old >> 8 & 0xff;
		i->minor = old & 0xff;
	} else {
		i->major = new >> 8 & 0xfff;
		i->minor = (new & 0xff) | (new >> 12 & 0xfff00);
	}
}

static void decode_inode(struct ext4fs_inode *i)
{
	const uint8_t *r = i->raw;
	uint32_t extra = le16(r + 0x80) >= 0x0c ? le32(r + 0x88) : 0;

	i->mode = le16(r);
	i->uid = le16(r + 2) | (uint32_t)le16(r + 0x78) << 16;
	i->gid = le16(r + 0x18) | (uint32_t)le16(r + 0x7a) << 16;
	i->links = le16(r + 0x1a);
	i->flags = le32(r + 0x20);
	i->size = le32(r + 4) | (uint64_t)le32(r + 0x6c) << 32;
	i->mtime = (int64_t)(int32_t)le32(r + 0x10) + ((int64_t)(extra & 3) << 32);
	i->mtime_ns = extra >> 2;
	i->xattr_block = le32(r + 0x68) | (uint64_t)le16(r + 0x76) << 32;
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		decode_device(i);
}

int ext4fs_inode(const struct ext4fs *fs, uint32_t number, struct ext4fs_inode *inode,
		 struct qbx_err *err)
{
	uint64_t table, at;

	memset(inode, 0, sizeof(*inode));
	if (number == 0 || number > fs->inodes || fs->inodes_per_group == 0)
		return damaged(err, "an inode number beyond its end");
	if (inode_table(fs, (number - 1) / fs->inodes_per_group, &table, err) < 0)
		return -1;
	at = table * EXT4FS_BLOCK +
	     (uint64_t)((number - 1) % fs->inodes_per_group) * EXT4FS_INODE_LEN;
	if (read_at(fs, at, inode->raw, sizeof(inode->raw), err) < 0)
		return -1;
	decode_inode(inode);
	if (inode->links == 0 || inode->mtime_ns > 999999999 || inode->size > INT64_MAX)
		return damaged(err, "an inode that is not in use");
	if (inode->flags & FLAGS_UNKNOWN)
		return damaged(err, "an inode of a kind that is not ours");
	return 0;
}

/* ---- extents ---- */

struct walk {
	const struct ext4fs *fs;
	uint64_t size;	/* of the file */
	uint64_t next;	/* block of the file that the next extent may begin with */
	unsigned nodes; /* that have been read */
	ext4fs_extent_fn *fn;
	void *arg;
};

static int leaf(struct walk *w, const uint8_t *e, struct qbx_err *err)
{
	uint64_t block = le32(e), len = le16(e + 4);
	uint64_t start = le32(e + 8) | (uint64_t)le16(e + 6) << 32;
	bool zeros = len > EXTENT_UNWRITTEN;
	uint64_t offset = block * EXT4FS_BLOCK, bytes;

	if (zeros)
		len -= EXTENT_UNWRITTEN;
	if (len == 0 || block < w->next || start == 0 || start >= w->fs->blocks ||
	    len > w->fs->blocks - start)
		return damaged(err, "an extent");
	w->next = block + len;
	if (zeros || offset >= w->size)
		return 0;
	bytes = len * EXT4FS_BLOCK;
	if (bytes > w->size - offset)
		bytes = w->size - offset;
	return w->fn(w->arg, offset, bytes, start * EXT4FS_BLOCK, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): by at most EXTENT_DEPTH_MAX */
static int node(struct walk *w, const uint8_t *n, size_t len, unsigned depth, struct qbx_err *err)
{
	uint8_t block[EXT4FS_BLOCK];
	unsigned count = le16(n + 2);
	int ret = 0;

	if (le16(n) != EXTENT_MAGIC || le16(n + 6) != depth || 12 + (size_t)count * 12 > len)
		return damaged(err, "an extent tree");
	for (unsigned i = 0; i < count && ret == 0; i++) {
		const uint8_t *e = n + 12 + (size_t)i * 12;

		if (depth == 0) {
			ret = leaf(w, e, err);
			continue;
		}
		if (++w->nodes > NODES_MAX)
			return damaged(err, "an extent tree without an end");
		ret = read_block(w->fs, le32(e + 4) | (uint64_t)le16(e + 8) << 32, block, err);
		if (ret == 0)
			ret = node(w, block, sizeof(block), depth - 1, err);
	}
	return ret;
}

int ext4fs_extents(const struct ext4fs *fs, const struct ext4fs_inode *inode, ext4fs_extent_fn *fn,
		   void *arg, struct qbx_err *err)
{
	struct walk w = { .fs = fs, .size = inode->size, .fn = fn, .arg = arg };
	unsigned depth = le16(inode->raw + 0x28 + 6);

	if (inode->size == 0)
		return 0;
	if (!(inode->flags & FLAG_EXTENTS) || depth > EXTENT_DEPTH_MAX)
		return damaged(err, "a file without extents");
	return node(&w, inode->raw + 0x28, 60, depth, err);
}

/* ---- directories ---- */

struct listing {
	const struct ext4fs *fs;
	ext4fs_entry_fn *fn;
	void *arg;
};

static int entry(const struct listing *l, const uint8_t *e, unsigned len, struct qbx_err *err)
{
	char name[EXT4FS_NAME_MAX + 1];
	unsigned n = e[6];

	if (le32(e) == 0)
		return 0;
	if (8 + n > len)
		return damaged(err, "a directory entry");
	memcpy(name, e + 8, n);
	name[n] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (n == 0 || strlen(name) != n || strchr(name, '/'))
		return damaged(err, "a name in a directory");
	return l->fn(l->arg, name, le32(e), err);
}

/* Index blocks look like blocks with one entry that is not in use, or like "." and "..". */
static int list_block(const struct listing *l, const uint8_t *block, struct qbx_err *err)
{
	unsigned at = 0;
	int ret = 0;

	while (at < EXT4FS_BLOCK && ret == 0) {
		unsigned len = le16(block + at + 4);

		if (len < 12 || len % 4 || len > EXT4FS_BLOCK - at)
			return damaged(err, "a directory");
		ret = entry(l, block + at, len, err);
		at += len;
	}
	return ret;
}

static int list_extent(void *arg, uint64_t offset, uint64_t len, uint64_t at, struct qbx_err *err)
{
	const struct listing *l = arg;
	uint8_t block[EXT4FS_BLOCK];
	int ret = 0;

	(void)offset;
	if (len % EXT4FS_BLOCK)
		return damaged(err, "a directory that ends within a block");
	for (; len > 0 && ret == 0; len -= EXT4FS_BLOCK, at += EXT4FS_BLOCK) {
		ret = read_at(l->fs, at, block, sizeof(block), err);
		if (ret == 0)
			ret = list_block(l, block, err);
	}
	return ret;
}

int ext4fs_entries(const struct ext4fs *fs, const struct ext4fs_inode *dir, ext4fs_entry_fn *fn,
		   void *arg, struct qbx_err *err)
{
	struct listing l = { fs, fn, arg };

	if (!S_ISDIR(dir->mode))
		return damaged(err, "a directory that is none");
	return ext4fs_extents(fs, dir, list_extent, &l, err);
}

/* ---- symbolic links ---- */

struct target {
	const struct ext4fs *fs;
	char *to;
};

static int read_target(void *arg, uint64_t offset, uint64_t len, uint64_t at, struct qbx_err *err)
{
	const struct target *t = arg;

	return offset ? damaged(err, "a symbolic link")
		      : read_at(t->fs, at, t->to, (size_t)len, err);
}

int ext4fs_target(const struct ext4fs *fs, const struct ext4fs_inode *inode,
		  char target[EXT4FS_BLOCK], struct qbx_err *err)
{
	struct target t = { fs, target };

	if (!S_ISLNK(inode->mode) || inode->size == 0 || inode->size >= EXT4FS_BLOCK)
		return damaged(err, "a symbolic link");
	memset(target, 0, EXT4FS_BLOCK);
	if (inode->flags & FLAG_EXTENTS) {
		if (ext4fs_extents(fs, inode, read_target, &t, err) < 0)
			return -1;
	} else {
		if (inode->size > 60)
			return damaged(err, "a symbolic link");
		memcpy(target, inode->raw + 0x28, (size_t)inode->size);
	}
	return strlen(target) == inode->size ? 0 : damaged(err, "a symbolic link");
}
