/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users.c - read a small file out of layers without mounting them
 *
 * The kernel does not mount what strangers made; dump.erofs, of the same package as mkfs.erofs,
 * reads the image in a process of its own. It exits with 0 whether or not there is such a file.
 */
#include <string.h>

#include "fs.h"
#include "proc.h"

#define FILE_MAX (1u << 20)
#define TIMEOUT_MS 10000

char *users_read(const struct layers *l, const char *path, struct qbx_err *err)
{
	char option[128];

	snprintf(option, sizeof(option), "--path=%s", path);
	for (size_t i = l->n; i-- > 0;) {
		const char *const argv[] = { "dump.erofs", option, "--cat", l->v[i].path, NULL };
		const struct proc_spec spec = { .argv = argv, .netns = -1, .die_with_us = 1 };
		_cleanup_(proc_output_free) struct proc_output o = { 0 };

		if (proc_run(&spec, NULL, 0, FILE_MAX, TIMEOUT_MS, &o, err) < 0) {
			err_hint(err,
				 "erofs-utils 1.8 or later is needed to look up the image's user");
			return NULL;
		}
		if (o.status != 0) {
			err_code(err, EX_UNAVAILABLE, "dump.erofs of %s: exit status %d",
				 l->v[i].path, o.status);
			return NULL;
		}
		if (o.out_len > 0)
			return take_ptr(o.out);
	}
	return strdup("");
}
