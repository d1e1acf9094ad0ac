/* SPDX-License-Identifier: Apache-2.0 */
/* doc.c - the "fs" key of the box document, qbx-json(7) */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "writable.h"

/* All directories are relative to the bundle in the guest. */
#define RW_DIR "rw"
#define LOWER_DIR "lower" /* and its number, base first */

/* Of an overlay, to qbx-init: what an upper directory that it makes is to be, "MODE:UID:GID". */
#define DOC_ROOT_OPTION "X-qemubox.root"

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

/* The root's own mode and owner are the upper directory's. */
static json_t *overlay_options(size_t lowers, bool readonly, const struct writable *w)
{
	json_t *options = json_pack("[o]", lowerdir(lowers));

	if (w->mode != 0755 || w->uid || w->gid)
		json_array_append_new(options, json_sprintf(DOC_ROOT_OPTION "=%o:%u:%u", w->mode,
							    w->uid, w->gid));
	json_array_append_new(options, json_string("upperdir=" RW_DIR "/upper"));
	json_array_append_new(options, json_string("workdir=" RW_DIR "/work"));
	if (readonly)
		json_array_append_new(options, json_string("ro"));
	return options;
}

/* With discard, what the container deletes is given back to the host. */
static int add_writable(json_t *mounts, const struct writable *w)
{
	json_t *options;

	if (w->disk)
		return add_mount(mounts, "ext4", "disk:" WRITABLE_SERIAL, RW_DIR,
				 json_pack("[s]", "discard"));
	options = json_pack("[s]", "mode=0755");
	if (w->mib)
		json_array_append_new(options, json_sprintf("size=%um", w->mib));
	return add_mount(mounts, "tmpfs", "tmpfs", RW_DIR, options);
}

static json_t *make_mounts(const json_t *sources, bool readonly, const struct writable *w)
{
	json_auto_t *mounts = json_array();
	size_t n = json_array_size(sources);

	/* An overlay has something below, if only an empty directory. */
	if (n == 0 &&
	    add_mount(mounts, "tmpfs", "tmpfs", LOWER_DIR "0", json_pack("[s]", "ro")) < 0)
		return NULL;
	if (add_lowers(mounts, sources) < 0 || add_writable(mounts, w) < 0 ||
	    add_mount(mounts, "overlay", "overlay", "rootfs",
		      overlay_options(n ? n : 1, readonly, w)) < 0)
		return NULL;
	return json_incref(mounts);
}

static int add_disk(json_t *disks, const struct writable *w)
{
	if (!w->disk)
		return 0;
	return json_array_append_new(disks,
				     json_pack("{s:s, s:s, s:s, s:b}", "serial", WRITABLE_SERIAL,
					       "path", w->path, "format", "raw", "readonly", 0));
}

json_t *doc_fs(const struct disks *d, json_t *process, bool readonly, const struct writable *w,
	       struct qbx_err *err)
{
	json_t *mounts = make_mounts(d->sources, readonly, w), *fs;

	if (mounts && add_disk(d->disks, w) < 0)
		json_decref(take_ptr(mounts));
	fs = json_pack("{s:O, s:o, s:o*}", "disks", d->disks, "mounts", mounts, "process", process);
	if (!fs)
		err_sys(err, ENOMEM, "write the document");
	return fs;
}
