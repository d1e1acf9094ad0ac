/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.c - describe files as one disk
 *
 * Source of the format: VMware's Virtual Disk Format 1.1, as far as QEMU's block/vmdk.c reads it.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"

#define EXTENT_PATH_MAX 511 /* bytes that QEMU reads of an extent's file name */

bool vmdk_path_ok(const char *path)
{
	return !strpbrk(path, "\"\r\n") && strlen(path) <= EXTENT_PATH_MAX;
}

static int describe(FILE *out, const struct extent *v, size_t n, struct qbx_err *err)
{
	uint64_t sum = 0;

	fprintf(out, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
		     "createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n");
	for (size_t i = 0; i < n; i++) {
		if (!vmdk_path_ok(v[i].path)) {
			err_code(err, EX_DATAERR, "%s: a path that a VMDK description cannot hold",
				 v[i].path);
			return err_hint(err, "no quotes or line ends, at most %d bytes",
					EXTENT_PATH_MAX);
		}
		fprintf(out, "RW %llu FLAT \"%s\" 0\n", (unsigned long long)v[i].sectors,
			v[i].path);
		sum += v[i].sectors;
	}
	fprintf(out,
		"\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\n"
		"ddb.geometry.cylinders = \"%llu\"\nddb.geometry.heads = \"16\"\n"
		"ddb.geometry.sectors = \"63\"\nddb.adapterType = \"ide\"\n",
		(unsigned long long)(sum + 1007) / 1008);
	return 0;
}

char *vmdk_text(const struct extent *v, size_t n, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r, bad;

	if (!out) {
		err_sys(err, errno, "describe a disk");
		return NULL;
	}
	r = describe(out, v, n, err);
	bad = ferror(out);
	if (fclose(out) != 0 || bad) {
		err_sys(err, ENOMEM, "describe a disk");
		return NULL;
	}
	return r < 0 ? NULL : take_ptr(text);
}
