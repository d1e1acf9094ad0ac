/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_erofs.c - an EROFS superblock, a device slot and an inode; then an image, looked through */
#include "fuzz.h"

#include <sys/mman.h>

#include "qbx-fs/erofs.c"
#include "qbx-fs/lookup.c"

static void decode(const uint8_t *data)
{
	struct qbx_err err = { 0 };
	struct erofs_super sb = { 0 };
	struct erofs_inode inode;
	struct erofs_slot slot;

	erofs_slot_decode(data + EROFS_SUPER_LEN, &slot);
	if (slot.blocks >> 48 || slot.start >> 48)
		abort();
	if (erofs_inode_decode(data, 0, &inode, &err) == 0 && inode.tail > 64 + 12 + 65536 * 4)
		abort();
	if (erofs_super_decode(data, &sb, &err) < 0)
		return;
	/* What is accepted can be counted in bytes. */
	if (sb.block_bits > 16 || !sb.blocks || sb.blocks > UINT64_MAX >> sb.block_bits)
		abort();
	if (!erofs_unsupported(&sb) && sb.block_bits > 12)
		abort();
}

static void look(const uint8_t *data, size_t size)
{
	char path[40];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct layer layer = { .path = path };
	const struct layers l = { &layer, 1 };
	struct qbx_err err = { 0 };
	const struct layer *from;
	struct dir_owner o;

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (erofs_super_decode(data + EROFS_SUPER_OFFSET, &layer.sb, &err) == 0) {
		(void)!lookup_root(&l, &o, &from, &err);
		if (walk(&layer, fd, "d/e", &(struct erofs_inode){ .mode = 0 }, &err) == 1 &&
		    lookup_dir(&layer, 1, "d/e", &o, &err) == 0 && o.mode > 07777)
			abort();
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t number;
	struct qbx_err err = { 0 };

	if (size >= EROFS_SUPER_LEN + EROFS_SLOT_LEN)
		decode(data);
	if (size >= EROFS_SUPER_OFFSET + EROFS_SUPER_LEN)
		look(data, size);
	(void)!erofs_dir_find(data, size, "name", 4, &number, &err);
	return 0;
}
