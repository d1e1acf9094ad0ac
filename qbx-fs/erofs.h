/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs.h - decode what an EROFS image says of itself
 *
 * Source of the format: the kernel's Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h.
 * Little endian; the superblock is 128 bytes at offset 1024. A device slot is 128 bytes, and the
 * slots start at 128 times devt_slotoff.
 */
#ifndef QBX_EROFS_H
#define QBX_EROFS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define EROFS_SUPER_OFFSET 1024u
#define EROFS_SUPER_LEN 128u
#define EROFS_SLOT_LEN 128u

struct erofs_super {
	unsigned block_bits;   /* a block is 1 << block_bits bytes, 512 to 64 KiB */
	uint64_t blocks;       /* of the image and, if it is merged, of its devices */
	unsigned devices;      /* other images that it takes data from */
	uint64_t slots_offset; /* of the device slots, in bytes */
	uint64_t meta_offset;  /* of inodes, in bytes */
	uint64_t root;	       /* the root directory's inode number */
	uint64_t build_time;   /* the time of what has none of its own, in seconds */
	uint32_t incompat;     /* features that a reader must know */
	uint32_t algorithms;   /* bits of those that it is compressed with */
	char label[17];
};

/* One other image: its length and its place behind the first one, in blocks. */
struct erofs_slot {
	uint64_t blocks, start;
};

/**
 * erofs_super_decode() - decode and check a superblock
 * @buf: the EROFS_SUPER_LEN bytes at EROFS_SUPER_OFFSET
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int erofs_super_decode(const uint8_t buf[EROFS_SUPER_LEN], struct erofs_super *sb,
		       struct qbx_err *err) _must_check_;

/** erofs_feature() - what Linux calls a bit of incompat, or NULL; one bit may stand for two. */
const char *erofs_feature(unsigned bit);

/**
 * erofs_unsupported() - what of an image the guest's kernel does not know: Linux 6.12, kernel.config
 * Return: the name of a feature, or NULL.
 */
const char *erofs_unsupported(const struct erofs_super *sb);

/** erofs_slot_decode() - decode one device slot. */
void erofs_slot_decode(const uint8_t buf[EROFS_SLOT_LEN], struct erofs_slot *slot);

#define EROFS_INODE_SIZE 64u /* of the larger kind; numbers count places of 32 bytes */
#define EROFS_INODE_SLOT 32u

struct erofs_inode {
	unsigned mode, uid, gid;
	uint64_t size, mtime;
	uint32_t where; /* the first block of data, or the device number of a special file */
	unsigned
		tail; /* bytes from the inode to the last, incomplete block; 0: that is with the others */
};

/**
 * erofs_inode_decode() - decode an inode whose data is not compressed, as directories are
 * @build_time: the superblock's
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int erofs_inode_decode(const uint8_t buf[EROFS_INODE_SIZE], uint64_t build_time,
		       struct erofs_inode *inode, struct qbx_err *err) _must_check_;

/**
 * erofs_dir_find() - look for a name in one block of a directory
 * Return: 1 with the inode's number; 0; or -1 with @err (EX_DATAERR).
 */
int erofs_dir_find(const uint8_t *block, size_t len, const char *name, size_t name_len,
		   uint64_t *number, struct qbx_err *err) _must_check_;

#endif
