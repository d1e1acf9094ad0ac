/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_erofs.c - an EROFS superblock, then a device slot */
#include "fuzz.h"

#include "qbx-fs/erofs.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };
	struct erofs_slot slot;

	if (size < EROFS_SUPER_LEN + EROFS_SLOT_LEN)
		return 0;
	erofs_slot_decode(data + EROFS_SUPER_LEN, &slot);
	if (slot.blocks >> 48 || slot.start >> 48)
		abort();
	if (erofs_super_decode(data, &sb, &err) < 0)
		return 0;
	/* What is accepted can be counted in bytes. */
	if (sb.block_bits > 16 || !sb.blocks || sb.blocks > UINT64_MAX >> sb.block_bits)
		abort();
	return 0;
}
