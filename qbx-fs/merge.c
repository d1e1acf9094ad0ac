/* SPDX-License-Identifier: Apache-2.0 */
/* merge.c - layers become as few disks as can be */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs.h"
#include "io.h"
#include "log.h"

#define SECTOR_BITS 9u
#define EXTENT_PATH_MAX 511 /* bytes that QEMU reads of an extent's file name */

static json_t *disk(const char *serial, const char *path, const char *format)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "serial", serial, "path", path, "format", format,
			 "readonly", 1);
}

/* One line of the description: @blocks of the file at @path. */
static int extent(FILE *out, const char *path, uint64_t blocks, unsigned bits, struct qbx_err *err)
{
	if (strpbrk(path, "\"\r\n") || strlen(path) > EXTENT_PATH_MAX) {
		err_code(err, EX_DATAERR, "%s: a path that a VMDK description cannot hold", path);
		return err_hint(err, "no quotes or line ends, at most %d bytes", EXTENT_PATH_MAX);
	}
	fprintf(out, "RW %llu FLAT \"%s\" 0\n", (unsigned long long)blocks << (bits - SECTOR_BITS),
		path);
	return 0;
}

/*
 * Source of the format: VMware's Virtual Disk Format 1.1, as far as QEMU's block/vmdk.c reads it.
 * The extents follow each other without a gap, so they must be just as long as the merged image has
 * them.
 */
static int describe(FILE *out, const struct layer *meta, const struct erofs_slot *slots,
		    const struct layers *l, struct qbx_err *err)
{
	unsigned bits = meta->sb.block_bits;
	uint64_t next = slots[0].start;

	if (next != (uint64_t)meta->st.st_size >> bits)
		return err_code(err, EX_DATAERR,
				"%s: its first layer is at block %llu, not at its end", meta->path,
				(unsigned long long)next);
	fprintf(out, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
		     "createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n");
	if (extent(out, meta->path, next, bits, err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		const struct layer *layer = &l->v[i];

		if (slots[i].start != next || slots[i].blocks != layer->sb.blocks ||
		    layer->sb.block_bits != bits)
			return err_code(err, EX_DATAERR, "%s: does not fit %s", meta->path,
					layer->path);
		if (extent(out, layer->path, slots[i].blocks, bits, err) < 0)
			return -1;
		next += slots[i].blocks;
	}
	fprintf(out,
		"\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\n"
		"ddb.geometry.cylinders = \"%llu\"\nddb.geometry.heads = \"16\"\n"
		"ddb.geometry.sectors = \"63\"\nddb.adapterType = \"ide\"\n",
		(unsigned long long)((next << (bits - SECTOR_BITS)) + 1007) / 1008);
	return 0;
}

char *vmdk_text(const struct layer *meta, const struct erofs_slot *slots, const struct layers *l,
		struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r, bad;

	if (!out) {
		err_sys(err, errno, "describe a disk");
		return NULL;
	}
	r = describe(out, meta, slots, l, err);
	bad = ferror(out);
	if (fclose(out) != 0 || bad) {
		err_sys(err, ENOMEM, "describe a disk");
		return NULL;
	}
	return r < 0 ? NULL : take_ptr(text);
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
static char *have_vmdk(const struct cache *c, const struct layer *meta, const struct layers *l,
		       struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL, *path = NULL;
	struct erofs_slot slots[LAYERS_MAX];
	char name[SHA256_HEX_LEN + 17], hex[SHA256_HEX_LEN + 1];

	if (read_slots(meta, slots, l->n, err) < 0)
		return NULL;
	text = vmdk_text(meta, slots, l, err);
	if (!text)
		return NULL;
	sha256_hex(text, strlen(text), hex);
	snprintf(name, sizeof(name), "disk-%s.vmdk", hex);
	path = cache_path(c, name, err);
	if (!path)
		return NULL;
	if (c->dry_run)
		plan_line("%s %s, %zu extents", cache_has(c, name) ? "use" : "write", path,
			  l->n + 1);
	else if (cache_make(c, name, build_text, text, err) < 0)
		return NULL;
	return take_ptr(path);
}

/* A disk a layer: the guest stacks them. */
static int stack(const struct layers *l, json_t *disks, struct qbx_err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		char serial[32] = "root"; /* at most 20 are used */

		if (l->n > 1)
			snprintf(serial, sizeof(serial), "layer%zu", i);
		if (json_array_append_new(disks, disk(serial, l->v[i].path, "raw")) < 0)
			return err_sys(err, ENOMEM, "list the disks");
	}
	return 0;
}

static int merged(const struct cache *c, const struct layer *meta, const struct layers *l,
		  json_t *disks, struct qbx_err *err)
{
	_cleanup_free_ char *path = NULL;

	if (meta->planned) {
		plan_line("write a disk description of %zu extents", l->n + 1);
		path = strdup(c->dir);
	} else {
		path = have_vmdk(c, meta, l, err);
	}
	if (!path)
		return -1;
	if (json_array_append_new(disks, disk("root", path, "vmdk")) < 0)
		return err_sys(err, ENOMEM, "list the disks");
	return 0;
}

/* Layers that mkfs.erofs does not merge; @err says why. */
static int unmerged(const struct layers *l, json_t *disks, struct qbx_err *err)
{
	enum log_level level = err->code == EX_DATAERR ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;

	if (l->n <= STACK_MAX) {
		log_write(level, "%zu layers stay %zu disks: %s", l->n, l->n, err->msg);
		err_forget(err);
		return stack(l, disks, err);
	}
	err_wrap(err, "%zu layers, more than %u, do not become one disk", l->n, STACK_MAX);
	if (!err->hint[0])
		err_hint(err, "the layers must be uncompressed and without inline data: give "
			      "containerd's erofs differ the option -Enoinline_data");
	return -1;
}

static int several(const struct cache *c, const struct layers *l, json_t *disks,
		   struct qbx_err *err)
{
	struct layer meta = { 0 };
	int r = mkfs_merge(c, l, &meta, err);

	if (r > 0)
		r = merged(c, &meta, l, disks, err);
	else if (r == 0)
		r = unmerged(l, disks, err);
	free(meta.path);
	return r;
}

int merge_layers(const struct cache *c, const struct layers *l, json_t **out, struct qbx_err *err)
{
	json_auto_t *disks = json_array();

	if (l->n == 0)
		return err_code(err, EX_DATAERR, "a root file system without layers");
	if ((l->n == 1 ? stack(l, disks, err) : several(c, l, disks, err)) < 0)
		return -1;
	*out = json_incref(disks);
	return 0;
}
