/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_fs_ext4.c - a file system that a guest has written, from its disk to records
 * The input is blocks of the disk, each with its number (16 bits, little endian) before it; the others
 * are zeros. What is read must be what may be written.
 */
#include "fuzz.h"

#define TREE_ENTRIES_MAX 2000u
#include "qbx-fs/ext4fs.c"
#include "qbx-fs/tree.c"
#include "qbx-fs/tree_read.c"

#undef MAGIC
#define damaged damaged_xattr
#include "qbx-fs/ext4xattr.c"

#define PIECE (2u + EXT4FS_BLOCK)

struct input {
	const uint8_t *data;
	size_t size;
};

static int read_input(void *arg, uint64_t offset, void *buf, size_t len)
{
	const struct input *in = arg;
	uint8_t *to = buf;

	memset(to, 0, len);
	for (size_t at = 0; at + PIECE <= in->size; at += PIECE) {
		uint64_t begin = (uint64_t)le16(in->data + at) * EXT4FS_BLOCK;
		uint64_t from = begin > offset ? begin : offset;
		uint64_t end = begin + EXT4FS_BLOCK < offset + len ? begin + EXT4FS_BLOCK
								   : offset + len;

		if (from < end)
			memcpy(to + (from - offset), in->data + at + 2 + (from - begin),
			       (size_t)(end - from));
	}
	return 0;
}

static int check(void *arg, const struct tree_head *h, const char *name, const void *data)
{
	static struct tree_record r;
	struct qbx_err err = { 0 };

	(void)arg;
	r.h = *h;
	if (h->name_len >= sizeof(r.name) || h->len >= sizeof(r.data))
		abort();
	memcpy(r.name, name ? name : "", h->name_len);
	r.name[h->name_len] = '\0';
	memcpy(r.data, data ? data : "", h->len);
	r.data[h->len] = '\0';
	if (tree_check(&r, &err) < 0)
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct qbx_err err = { 0 };
	struct ext4fs fs;

	if (ext4fs_open(&fs, read_input, &in, &err) < 0)
		return 0;
	if (tree_read(&fs, 1u << 20, check, NULL, &err) < 0 && !err.msg[0])
		abort();
	return 0;
}
