/* SPDX-License-Identifier: Apache-2.0 */
/* erofs.c - decode what an EROFS image says of itself */
#include "erofs.h"

#include <endian.h>
#include <string.h>

#define MAGIC 0xe0f5e1e2u
#define INCOMPAT_DEVICES 0x08u /* the field that counts devices means something */
#define INCOMPAT_48BIT 0x80u   /* block numbers with 16 more bits, in other places */

/* Offsets in the superblock */
enum {
	SB_MAGIC = 0,
	SB_BLOCK_BITS = 12,
	SB_BLOCKS_HI = 14, /* with INCOMPAT_48BIT; else the root's number */
	SB_BLOCKS_LO = 36,
	SB_INCOMPAT = 80,
	SB_DEVICES = 86,
	SB_SLOT_OFFSET = 88,
};

/* Offsets in a device slot, whose first 64 bytes are a tag */
enum { SLOT_BLOCKS_LO = 64, SLOT_START_LO = 68, SLOT_BLOCKS_HI = 72, SLOT_START_HI = 74 };

static uint16_t le16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
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
	return 0;
}

void erofs_slot_decode(const uint8_t buf[EROFS_SLOT_LEN], struct erofs_slot *slot)
{
	slot->blocks = le32(buf + SLOT_BLOCKS_LO) | (uint64_t)le16(buf + SLOT_BLOCKS_HI) << 32;
	slot->start = le32(buf + SLOT_START_LO) | (uint64_t)le16(buf + SLOT_START_HI) << 32;
}
