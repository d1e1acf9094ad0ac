/* SPDX-License-Identifier: Apache-2.0 */
/* doc.c - the "fs" key of the box document, qbx-json(7) */
#include <errno.h>
#include <string.h>

#include "fs.h"

/* All directories are relative to the bundle in the guest. */
#define RW_DIR "rw"
#define LOWER_DIR "lower" /* and its number, base first */

static int add_mount(json_t *mounts, const char *type, const char *source, const char *target,
		     json_t *options)
{
	return json_array_append_new(mounts,
				     json_pack("{s:s, s:s, s:s, s:o}", "type", type, "source",
					       source, "target", target, "options", options));
}

static int add_lowers(json_t *mounts, const json_t *sources)
{
	const json_t *source;
	size_t i;

	json_array_foreach (sources, i, source) {
		char target[32];

		snprintf(target, sizeof(target), LOWER_DIR "%zu", i);
		if (add_mount(mounts, "erofs", json_string_value(source), target,
			      json_pack("[s]", "ro")) < 0)
			return -1;
	}
	return 0;
}

/* The option wants the top layer first. */
static json_t *lowerdir(size_t n)
{
	char text[16 * LAYERS_MAX + 16] = "lowerdir=";
	size_t len = strlen(text);

	if (n > LAYERS_MAX)
		BUG("more layers than there may be");
	while (n-- > 0)
		len += (size_t)snprintf(text + len, sizeof(text) - len, LOWER_DIR "%zu%s", n,
					n > 0 ? ":" : "");
	return json_string(text);
}

static json_t *make_mounts(const json_t *sources, bool readonly)
{
	json_auto_t *mounts = json_array();
	json_t *options;

	/* The root's own mode is the upper directory's, which is made 0755. */
	options = json_pack("[o, s, s]", lowerdir(json_array_size(sources)),
			    "upperdir=" RW_DIR "/upper", "workdir=" RW_DIR "/work");
	if (readonly)
		json_array_append_new(options, json_string("ro"));
	if (add_lowers(mounts, sources) < 0 ||
	    add_mount(mounts, "tmpfs", "tmpfs", RW_DIR, json_pack("[s]", "mode=0755")) < 0 ||
	    add_mount(mounts, "overlay", "overlay", "rootfs", options) < 0)
		return NULL;
	return json_incref(mounts);
}

json_t *doc_fs(const struct disks *d, json_t *process, bool readonly, struct qbx_err *err)
{
	json_t *fs = json_pack("{s:O, s:o, s:o*}", "disks", d->disks, "mounts",
			       make_mounts(d->sources, readonly), "process", process);

	if (!fs)
		err_sys(err, ENOMEM, "write the document");
	return fs;
}
