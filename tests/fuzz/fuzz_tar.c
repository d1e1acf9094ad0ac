/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_tar.c - an archive: its headers one by one, and the whole through the reader of the
 * program
 */
#include "fuzz.h"

#include <sys/mman.h>

#include "qbx-fs/archive.c"
#include "qbx-fs/tar.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tar_pax pax;
	struct archive a = { .path = "fuzz", .fd = memfd_create("fuzz", MFD_CLOEXEC) };
	struct qbx_err err = { 0 };

	tar_pax_decode((const char *)data, size, &pax);
	if (a.fd < 0 || write(a.fd, data, size) != (ssize_t)size)
		abort();
	if (scan(&a, size, &err) == 0 && a.n > 0 && !archive_find(&a, a.v[0].name))
		abort();
	for (size_t i = 0; i < a.n; i++) /* every file lies in the archive */
		if (a.v[i].offset > size || a.v[i].len > size - a.v[i].offset)
			abort();
	archive_close(&a);
	return 0;
}
