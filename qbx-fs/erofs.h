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

/** erofs_slot_decode() - decode one device slot. */
void erofs_slot_decode(const uint8_t buf[EROFS_SLOT_LEN], struct erofs_slot *slot);

#endif
