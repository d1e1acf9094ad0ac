/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users.c - read a small file out of layers without mounting them
 *
 * The kernel does not mount what strangers made; dump.erofs, of the same package as mkfs.erofs,
 * reads the image in a process of its own. It exits with 0 whether or not there is such a file.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "proc.h"

#define FILE_MAX (1u << 20)
#define TIMEOUT_MS 10000
#define HINT "looking up an image's user takes the dump.erofs of erofs-utils 1.9 or later"

/* The file in one layer, "" if it has none; the caller frees it. NULL with @err. */
static char *read_one(const char *layer, const char *option, struct qbx_err *err)
{
	const char *const argv[] = { "dump.erofs", option, "--cat", layer, NULL };
	const struct proc_spec spec = { .argv = argv, .netns = -1, .die_with_us = 1 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };

	if (proc_run(&spec, NULL, 0, FILE_MAX, TIMEOUT_MS, &o, err) < 0) {
		err_hint(err, HINT);
		return NULL;
	}
	if (o.status != 0) {
		err_code(err, EX_UNAVAILABLE, "dump.erofs of %s failed: %.200s", layer,
			 o.err_len > 0 ? o.err : "it says nothing");
		err_hint(err, HINT);
		return NULL;
	}
	return o.out_len > 0 ? take_ptr(o.out) : strdup("");
}

char *users_read(const struct layers *l, const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *text = strdup("");
	char option[128];

	snprintf(option, sizeof(option), "--path=%s", path);
	for (size_t i = l->n; i-- > 0 && text && !*text;) {
		free(text);
		text = read_one(l->v[i].path, option, err);
		if (!text)
			return NULL;
	}
	if (!text)
		err_sys(err, ENOMEM, "read %s", path);
	return take_ptr(text);
}
