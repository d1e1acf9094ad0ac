/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_tar.c - an archive: its headers one by one, and the whole through the readers of the
 * program
 */
#include "fuzz.h"

#include <sys/mman.h>

#include "qbx-fs/archive.c"
#include "qbx-fs/mend.c"
#include "qbx-fs/tar.c"

int lookup_dir(const struct layer *v, size_t n, const char *path, struct dir_owner *o,
	       struct qbx_err *err)
{
	(void)v, (void)n, (void)path, (void)err;
	*o = (struct dir_owner){ 0755, 4294967294u, 1, UINT64_MAX };
	return 0;
}

/* What is mended has nothing left to mend. */
static void mend(int fd)
{
	struct mend m = { .what = "fuzz", .whiteouts = true };
	struct mend again = { .what = "fuzz", .whiteouts = true };
	int to = memfd_create("mended", MFD_CLOEXEC);
	struct qbx_err err = { 0 };

	if (to < 0)
		abort();
	if (mend_scan(&m, fd, &err) == 0 && mend_feed(&m, NULL, 0, to, &err) == 0 &&
	    (mend_scan(&again, to, &err) < 0 || mend_needed(&again)))
		abort();
	mend_free(&m);
	mend_free(&again);
	close(to);
}

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
	mend(a.fd);
	archive_close(&a);
	return 0;
}
