/* SPDX-License-Identifier: Apache-2.0 */
/* ext4xattr.c - read an ext4 file system that a guest has written: extended attributes */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "ext4fs.h"
#include "le.h"

#define MAGIC 0xea020000u
#define INODE_BASE 128u /* where an inode's extra fields begin */
#define BLOCK_HEADER 32u
#define ENTRY_LEN 16u

#define INDEX_ACL 2u
#define INDEX_DEFAULT_ACL 3u

/* The attributes of one place: entries grow from its begin, and values lie after them. */
struct place {
	const uint8_t *entries, *values, *end; /* offsets of values count from @values */
	ext4fs_xattr_fn *fn;
	void *arg;
};

static int damaged(struct qbx_err *err)
{
	return err_code(err, EX_DATAERR, "the file system is damaged: an extended attribute");
}

static const char *prefix(unsigned index)
{
	static const char *const prefixes[] = {
		[1] = "user.",
		[INDEX_ACL] = "system.posix_acl_access",
		[INDEX_DEFAULT_ACL] = "system.posix_acl_default",
		[4] = "trusted.",
		[6] = "security.",
		[7] = "system.",
	};

	return index < ARRAY_SIZE(prefixes) ? prefixes[index] : NULL;
}

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/*
 * On disk an access control list has version 1, and ids only where they mean something; getxattr(2)
 * has version 2, and an id in each entry. Return: length in @to, or 0 if it is not one.
 */
static size_t convert_acl(const uint8_t *from, size_t len, uint8_t *to, size_t size)
{
	size_t n = 4;

	if (len < 4 || le32(from) != 1)
		return 0;
	put32(to, 2);
	for (size_t at = 4; at < len; n += 8) {
		unsigned tag = len - at < 4 ? 0 : le16(from + at);
		size_t used = tag == 0x02 || tag == 0x08 ? 8 : 4; /* a user, a group */

		if (tag == 0 || used > len - at || n + 8 > size)
			return 0;
		memcpy(to + n, from + at, 4);
		put32(to + n + 4, used == 8 ? le32(from + at + 4) : UINT32_MAX);
		at += used;
	}
	return n;
}

static int tell(const struct place *p, const uint8_t *e, const uint8_t *value, size_t len,
		struct qbx_err *err)
{
	char name[EXT4FS_XATTR_NAME_MAX];
	uint8_t acl[2 * EXT4FS_XATTR_MAX];
	const char *pre = prefix(e[1]);
	size_t head;

	if (!pre)
		return damaged(err);
	head = strlen(pre);
	memcpy(name, pre, head);
	memcpy(name + head, e + ENTRY_LEN, e[0]);
	name[head + e[0]] = '\0';
	if (strlen(name) != head + e[0])
		return damaged(err);
	if (e[1] == INDEX_ACL || e[1] == INDEX_DEFAULT_ACL) {
		len = convert_acl(value, len, acl, EXT4FS_XATTR_MAX);
		value = acl;
		if (len == 0 || e[0] != 0)
			return damaged(err);
	}
	return p->fn(p->arg, name, value, len, err);
}

static int each(const struct place *p, struct qbx_err *err)
{
	const uint8_t *e = p->entries;
	int ret = 0;

	while (ret == 0 && p->end - e >= 4 && le32(e) != 0) {
		size_t room = (size_t)(p->end - p->values), offset, len;

		if ((size_t)(p->end - e) < ENTRY_LEN + e[0])
			return damaged(err);
		offset = le16(e + 2);
		len = le32(e + 8);
		/* A value in an inode of its own is a feature that is not ours. */
		if (le32(e + 4) != 0 || len > EXT4FS_XATTR_MAX || (len && offset > room) ||
		    (len && len > room - offset))
			return damaged(err);
		ret = tell(p, e, p->values + (len ? offset : 0), len, err);
		e += (ENTRY_LEN + e[0] + 3u) & ~(size_t)3;
		if (e > p->end)
			return damaged(err);
	}
	return ret;
}

static int in_inode(const struct ext4fs_inode *inode, struct place *p, struct qbx_err *err)
{
	size_t at = INODE_BASE + le16(inode->raw + INODE_BASE);

	if (at > EXT4FS_INODE_LEN - 4 || at % 4 || le32(inode->raw + at) != MAGIC)
		return 0;
	p->entries = p->values = inode->raw + at + 4;
	p->end = inode->raw + EXT4FS_INODE_LEN;
	return each(p, err);
}

static int in_block(const struct ext4fs *fs, const struct ext4fs_inode *inode, ext4fs_xattr_fn *fn,
		    void *arg, struct qbx_err *err)
{
	struct place p = { .fn = fn, .arg = arg };
	uint8_t block[EXT4FS_BLOCK];

	if (!inode->xattr_block)
		return 0;
	if (inode->xattr_block >= fs->blocks)
		return damaged(err);
	if (fs->read(fs->arg, inode->xattr_block * EXT4FS_BLOCK, block, sizeof(block)) < 0)
		return err_sys(err, errno, "read extended attributes");
	if (le32(block) != MAGIC || le32(block + 8) != 1)
		return damaged(err);
	p.values = block;
	p.entries = block + BLOCK_HEADER;
	p.end = block + EXT4FS_BLOCK;
	return each(&p, err);
}

int ext4fs_xattrs(const struct ext4fs *fs, const struct ext4fs_inode *inode, ext4fs_xattr_fn *fn,
		  void *arg, struct qbx_err *err)
{
	struct place p = { .fn = fn, .arg = arg };
	int ret = in_inode(inode, &p, err);

	return ret ? ret : in_block(fs, inode, fn, arg, err);
}
