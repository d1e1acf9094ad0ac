/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c - layers become as few disks as can be */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs.h"
#include "io.h"
#include "log.h"

#define SECTOR_BITS 9u
#define PARTS_MAX 255u /* of a disk in a Linux guest */

/* @inodes: which files they were that were looked at, for who opens them; a new reference */
static json_t *disk(const char *serial, const char *path, const char *format, json_t *inodes)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:o}", "serial", serial, "path", path, "format",
			 format, "readonly", 1, "inodes", inodes);
}

static int add_inode(json_t *inodes, const struct layer *l)
{
	return json_array_append_new(inodes,
				     json_sprintf("%llx:%llx", (unsigned long long)l->st.st_dev,
						  (unsigned long long)l->st.st_ino));
}

/* Of @meta, unless it is NULL, and of layers. */
static json_t *inodes_of(const struct layer *meta, const struct layer *v, size_t n)
{
	json_auto_t *inodes = json_array();

	if (meta && add_inode(inodes, meta) < 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (add_inode(inodes, &v[i]) < 0)
			return NULL;
	return json_incref(inodes);
}

static uint64_t sectors(const struct layer *l)
{
	return l->planned ? 0 : l->sb.blocks << (l->sb.block_bits - SECTOR_BITS);
}

/* The device slots of a merged image, of which there must be @n: one a layer. */
static int read_slots(const struct layer *meta, struct erofs_slot *slots, size_t n,
		      struct qbx_err *err)
{
	_cleanup_close_ int fd = open(meta->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t buf[EROFS_SLOT_LEN];

	if (fd < 0)
		return err_sys(err, errno, "open %s", meta->path);
	if (meta->sb.devices != n)
		return err_code(err, EX_DATAERR, "%s: holds %u layers, not %zu", meta->path,
				meta->sb.devices, n);
	for (size_t i = 0; i < n; i++) {
		if (pread(fd, buf, sizeof(buf), (off_t)(meta->sb.slots_offset + i * sizeof(buf))) !=
		    sizeof(buf))
			return err_code(err, EX_DATAERR, "%s: truncated", meta->path);
		erofs_slot_decode(buf, &slots[i]);
	}
	return 0;
}

static int build_text(void *arg, int fd, struct qbx_err *err)
{
	const char *text = arg;

	if (io_write_all(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "write a disk description");
	return 0;
}

/* Have the description in the cache, named by its own digest. Return: its path, or NULL. */
static char *have_vmdk(const struct cache *c, const struct extent *extents, size_t n,
		       struct qbx_err *err)
{
	_cleanup_free_ char *text = vmdk_text(extents, n, err), *path = NULL;
	char name[SHA256_HEX_LEN + 17], hex[SHA256_HEX_LEN + 1];

	if (!text)
		return NULL;
	sha256_hex(text, strlen(text), hex);
	snprintf(name, sizeof(name), "disk-%s.vmdk", hex);
	path = cache_path(c, name, err);
	if (!path)
		return NULL;
	if (c->dry_run)
		plan_line("%s %s, %zu extents", cache_has(c, name) ? "use" : "write", path, n);
	else if (cache_make(c, name, build_text, text, err) < 0)
		return NULL;
	return take_ptr(path);
}

static int add(struct disks *d, json_t *disk, const char *source, struct qbx_err *err)
{
	if ((disk && json_array_append_new(d->disks, disk) < 0) ||
	    json_array_append_new(d->sources, json_string(source)) < 0)
		return err_sys(err, ENOMEM, "list the disks");
	return 0;
}

static int add_file(struct disks *d, const char *path, struct qbx_err *err)
{
	return json_array_append_new(d->files, json_string(path)) < 0
		       ? err_sys(err, ENOMEM, "list the disks")
		       : 0;
}

/* A disk a layer. */
static int apart(const struct layers *l, struct disks *d, struct qbx_err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		char serial[32] = "root", source[48]; /* at most 20 are used */

		if (l->n > 1)
			snprintf(serial, sizeof(serial), "layer%zu", i);
		snprintf(source, sizeof(source), "disk:%s", serial);
		if (add(d, disk(serial, l->v[i].path, "raw", inodes_of(NULL, &l->v[i], 1)), source,
			err) < 0)
			return -1;
	}
	return 0;
}

/* Layers @first to @first + @n - 1, at most PARTS_MAX, one behind the other on a disk. */
static int line_up(const struct cache *c, const struct layers *l, size_t first, size_t n,
		   struct disks *d, struct qbx_err *err)
{
	struct extent extents[PARTS_MAX];
	_cleanup_free_ char *path = NULL;
	char serial[32], source[96];
	uint64_t at = 0;

	for (size_t i = 0; i < n; i++)
		extents[i] = (struct extent){ l->v[first + i].path, sectors(&l->v[first + i]) };
	path = have_vmdk(c, extents, n, err);
	if (!path)
		return -1;
	if (add_file(d, path, err) < 0)
		return -1;
	snprintf(serial, sizeof(serial), "layers%zu", first / PARTS_MAX);
	for (size_t i = 0; i < n; i++) {
		snprintf(source, sizeof(source), "disk:%s/%zu@%llu+%llu", serial, i + 1,
			 (unsigned long long)at, (unsigned long long)extents[i].sectors);
		if (add(d, i ? NULL : disk(serial, path, "vmdk", inodes_of(NULL, &l->v[first], n)),
			source, err) < 0)
			return -1;
		at += extents[i].sectors;
	}
	return 0;
}

static bool describable(const struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!vmdk_path_ok(l->v[i].path))
			return false;
	return true;
}

/* The guest stacks them: as parts of one disk, or, if a path fits no description, as disks. */
static int stack(const struct cache *c, const struct layers *l, struct disks *d,
		 struct qbx_err *err)
{
	d->how = DISKS_APART;
	if (l->n == 1 || (l->n <= STACK_MAX && !describable(l)))
		return apart(l, d, err);
	d->how = DISKS_PARTS;
	for (size_t i = 0; i < l->n; i += PARTS_MAX) {
		size_t n = l->n - i < PARTS_MAX ? l->n - i : PARTS_MAX;

		if (line_up(c, l, i, n, d, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * The extents follow each other without a gap, so they must be just as long as the merged image has
 * them.
 */
static int merged_extents(const struct layer *meta, const struct layers *l, struct extent *extents,
			  struct qbx_err *err)
{
	struct erofs_slot slots[LAYERS_MAX] = { { 0 } };
	unsigned bits = meta->sb.block_bits;
	uint64_t next = (uint64_t)meta->st.st_size >> bits;

	if (read_slots(meta, slots, l->n, err) < 0)
		return -1;
	extents[0] = (struct extent){ meta->path, next << (bits - SECTOR_BITS) };
	for (size_t i = 0; i < l->n; i++) {
		const struct layer *layer = &l->v[i];

		if (slots[i].start != next || slots[i].blocks != layer->sb.blocks ||
		    layer->sb.block_bits != bits)
			return err_code(err, EX_DATAERR, "%s: does not fit %s", meta->path,
					layer->path);
		extents[i + 1] = (struct extent){ layer->path, sectors(layer) };
		next += slots[i].blocks;
	}
	return 0;
}

static int merged(const struct cache *c, const struct layer *meta, const struct layers *l,
		  struct disks *d, struct qbx_err *err)
{
	struct extent extents[LAYERS_MAX + 1];
	_cleanup_free_ char *path = NULL;

	if (meta->planned) {
		plan_line("write a disk description of %zu extents", l->n + 1);
		path = strdup(c->dir);
	} else if (merged_extents(meta, l, extents, err) == 0) {
		path = have_vmdk(c, extents, l->n + 1, err);
	}
	if (!path || add_file(d, path, err) < 0)
		return -1;
	d->how = DISKS_MERGED;
	d->cached = !meta->planned;
	return add(d, disk("root", path, "vmdk", inodes_of(meta, l->v, l->n)), "disk:root", err);
}

/* Layers that mkfs.erofs does not merge; @err says why. */
static int unmerged(const struct cache *c, const struct layers *l, struct disks *d,
		    struct qbx_err *err)
{
	enum log_level level = err->code == EX_DATAERR ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;

	log_write(level, "%zu layers are stacked, not merged: %s", l->n, err->msg);
	d->why = strdup(err->msg);
	err_forget(err);
	if (!d->why)
		return err_sys(err, ENOMEM, "list the disks");
	return stack(c, l, d, err);
}

static int several(const struct cache *c, const struct layers *l, struct disks *d,
		   struct qbx_err *err)
{
	struct layer meta = { 0 };
	int r;

	if (!describable(l))
		return stack(c, l, d, err);
	r = mkfs_merge(c, l, &meta, err);
	if (r > 0)
		r = merged(c, &meta, l, d, err);
	else if (r == 0)
		r = unmerged(c, l, d, err);
	free(meta.path);
	return r;
}

int merge_layers(const struct cache *c, const struct layers *l, struct disks *d,
		 struct qbx_err *err)
{
	d->disks = json_array();
	d->sources = json_array();
	d->files = json_array();
	if (!d->disks || !d->sources || !d->files)
		return err_sys(err, ENOMEM, "list the disks");
	for (size_t i = 0; i < l->n; i++)
		if (add_file(d, l->v[i].path, err) < 0)
			return -1;
	if (l->n == 0)
		return 0;
	return l->n == 1 ? stack(c, l, d, err) : several(c, l, d, err);
}

void disks_free(struct disks *d)
{
	json_decref(d->disks);
	json_decref(d->sources);
	json_decref(d->files);
	free(d->why);
}
