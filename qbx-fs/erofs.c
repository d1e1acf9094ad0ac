/* SPDX-License-Identifier: Apache-2.0 */
/* erofs.c - decode what an EROFS image says of itself */
#include "erofs.h"

#include <stdbool.h>
#include <string.h>

#include "le.h"

#define MAGIC 0xe0f5e1e2u
#define INCOMPAT_DEVICES 0x08u /* the field that counts devices means something */
#define INCOMPAT_48BIT 0x80u   /* block numbers with 16 more bits, in other places */
#define INCOMPAT_COMPRESSED 0x02u

/* Offsets in the superblock */
enum {
	SB_MAGIC = 0,
	SB_BLOCK_BITS = 12,
	SB_BLOCKS_HI = 14, /* with INCOMPAT_48BIT; else the root's number */
	SB_ROOT = 14,
	SB_BUILD_TIME = 24,
	SB_BLOCKS_LO = 36,
	SB_META = 40,
	SB_LABEL = 64,
	SB_INCOMPAT = 80,
	SB_ALGORITHMS = 84,
	SB_DEVICES = 86,
	SB_SLOT_OFFSET = 88,
};

/* Offsets in an inode, the same in both kinds up to the mode */
enum {
	INODE_FORMAT = 0,
	INODE_XATTRS = 2,
	INODE_MODE = 4,
	INODE_SIZE = 8,
	INODE_WHERE = 16,
	INODE_SHORT_UID = 24,
	INODE_SHORT_GID = 26,
	INODE_UID = 24,
	INODE_GID = 28,
	INODE_MTIME = 32,
};

enum { FORMAT_LONG = 1, LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_SHIFT = 1, LAYOUT_MASK = 7 };

/* Offsets in an entry of a directory; names follow the entries. */
enum { DIRENT_NUMBER = 0, DIRENT_NAME = 8, DIRENT_LEN = 12 };

/* Offsets in a device slot, whose first 64 bytes are a tag */
enum { SLOT_BLOCKS_LO = 64, SLOT_START_LO = 68, SLOT_BLOCKS_HI = 72, SLOT_START_HI = 74 };

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

int erofs_super_decode(const uint8_t buf[EROFS_SUPER_LEN], struct erofs_super *sb,
		       struct qbx_err *err)
{
	uint32_t incompat = le32(buf + SB_INCOMPAT);

	if (le32(buf + SB_MAGIC) != MAGIC)
		return err_code(err, EX_DATAERR, "not an EROFS image");
	sb->block_bits = buf[SB_BLOCK_BITS];
	if (sb->block_bits < 9 || sb->block_bits > 16)
		return err_code(err, EX_DATAERR, "damaged EROFS image: blocks of 2^%u bytes",
				sb->block_bits);
	sb->blocks = le32(buf + SB_BLOCKS_LO);
	if (incompat & INCOMPAT_48BIT)
		sb->blocks |= (uint64_t)le16(buf + SB_BLOCKS_HI) << 32;
	if (sb->blocks == 0)
		return err_code(err, EX_DATAERR, "damaged EROFS image: no blocks");
	sb->devices = incompat & INCOMPAT_DEVICES ? le16(buf + SB_DEVICES) : 0;
	sb->slots_offset = (uint64_t)le16(buf + SB_SLOT_OFFSET) * EROFS_SLOT_LEN;
	sb->meta_offset = (uint64_t)le32(buf + SB_META) << sb->block_bits;
	sb->root = le16(buf + SB_ROOT);
	sb->build_time = le64(buf + SB_BUILD_TIME);
	sb->incompat = incompat;
	sb->algorithms = incompat & INCOMPAT_COMPRESSED ? le16(buf + SB_ALGORITHMS) : 0;
	memcpy(sb->label, buf + SB_LABEL, sizeof(sb->label) - 1);
	sb->label[sizeof(sb->label) - 1] = '\0';
	return 0;
}

const char *erofs_feature(unsigned bit)
{
	static const char *const names[] = { "zero_padding",   "compr_cfgs",   "chunked_file",
					     "device_table",   "ztailpacking", "fragments",
					     "xattr_prefixes", "48bit",	       "metabox" };

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

const char *erofs_unsupported(const struct erofs_super *sb)
{
	const uint32_t known = 0x7f, algorithms = 0xf; /* lz4, lzma, deflate, zstd */
	uint32_t unknown = sb->incompat & ~known;

	if (sb->block_bits > 12)
		return "blocks larger than 4096 bytes";
	if (sb->algorithms & ~algorithms)
		return "a compression other than lz4, lzma, deflate and zstd";
	for (unsigned i = 0; unknown; i++, unknown >>= 1)
		if (unknown & 1)
			return erofs_feature(i) ? erofs_feature(i) : "a feature newer than these";
	return NULL;
}

int erofs_inode_decode(const uint8_t buf[EROFS_INODE_SIZE], uint64_t build_time,
		       struct erofs_inode *inode, struct qbx_err *err)
{
	unsigned format = le16(buf + INODE_FORMAT), xattrs = le16(buf + INODE_XATTRS);
	unsigned layout = format >> LAYOUT_SHIFT & LAYOUT_MASK;
	bool is_long = format & FORMAT_LONG;

	memset(inode, 0, sizeof(*inode));
	inode->mode = le16(buf + INODE_MODE);
	inode->size = is_long ? le64(buf + INODE_SIZE) : le32(buf + INODE_SIZE);
	inode->where = le32(buf + INODE_WHERE);
	inode->uid = is_long ? le32(buf + INODE_UID) : le16(buf + INODE_SHORT_UID);
	inode->gid = is_long ? le32(buf + INODE_GID) : le16(buf + INODE_SHORT_GID);
	inode->mtime = is_long ? le64(buf + INODE_MTIME) : build_time;
	if (layout == LAYOUT_INLINE)
		inode->tail = (is_long ? 64 : 32) + (xattrs ? 12 + (xattrs - 1) * 4 : 0);
	if (layout != LAYOUT_PLAIN && layout != LAYOUT_INLINE && (inode->mode & 0170000) == 0040000)
		return err_code(err, EX_DATAERR, "a directory whose data has layout %u", layout);
	return 0;
}

int erofs_dir_find(const uint8_t *block, size_t len, const char *name, size_t name_len,
		   uint64_t *number, struct qbx_err *err)
{
	size_t n = len >= DIRENT_LEN ? le16(block + DIRENT_NAME) / DIRENT_LEN : 0;

	if (n == 0 || n > len / DIRENT_LEN)
		return err_code(err, EX_DATAERR, "a damaged directory");
	for (size_t i = 0; i < n; i++) {
		const uint8_t *e = block + i * DIRENT_LEN;
		size_t start = le16(e + DIRENT_NAME), end = len;

		if (i + 1 < n)
			end = le16(e + DIRENT_LEN + DIRENT_NAME);
		if (start < n * DIRENT_LEN || end > len || start >= end)
			return err_code(err, EX_DATAERR, "a damaged directory");
		if (strnlen((const char *)block + start, end - start) != name_len ||
		    memcmp(block + start, name, name_len) != 0)
			continue;
		*number = le64(e + DIRENT_NUMBER);
		return 1;
	}
	return 0;
}

void erofs_slot_decode(const uint8_t buf[EROFS_SLOT_LEN], struct erofs_slot *slot)
{
	slot->blocks = le32(buf + SLOT_BLOCKS_LO) | (uint64_t)le16(buf + SLOT_BLOCKS_HI) << 32;
	slot->start = le32(buf + SLOT_START_LO) | (uint64_t)le16(buf + SLOT_START_HI) << 32;
}
