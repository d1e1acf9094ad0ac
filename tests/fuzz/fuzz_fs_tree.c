/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_fs_tree.c - a record as the confined reader sends it: what is accepted can be acted on */
#include "fuzz.h"

#include <string.h>

#include "qbx-fs/tree.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tree_record r;
	struct qbx_err err = { 0 };

	if (size < sizeof(r.h))
		return 0;
	memcpy(&r.h, data, sizeof(r.h));
	data += sizeof(r.h);
	size -= sizeof(r.h);
	if (tree_check_head(&r.h, &err) < 0)
		return 0;
	if (r.h.name_len >= sizeof(r.name) || r.h.len >= sizeof(r.data))
		abort();
	if (r.h.name_len > size || r.h.len > size - r.h.name_len)
		return 0;
	memcpy(r.name, data, r.h.name_len);
	r.name[r.h.name_len] = '\0';
	memcpy(r.data, data + r.h.name_len, r.h.len);
	r.data[r.h.len] = '\0';
	if (tree_check(&r, &err) < 0)
		return 0;
	if (r.h.type != TREE_XATTR && (strchr(r.name, '/') || !strcmp(r.name, "..")))
		abort();
	if (r.h.type == TREE_SYMLINK && !r.data[0])
		abort();
	return 0;
}
