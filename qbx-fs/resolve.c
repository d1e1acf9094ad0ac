/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - what the mounts in "rootfs" are, and the layers in them as images */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int convert_dir(const struct cache *c, struct layer *l, struct qbx_err *err)
{
	_cleanup_free_ char *dir = take_ptr(l->path);
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char digest[SHA256_HEX_LEN + 1];

	if (fd < 0)
		return err_sys(err, errno, "open %s", dir);
	if (dirtree_digest(fd, dir, digest, err) < 0)
		return -1;
	return mkfs_dir(c, dir, fd, digest, l, err);
}

/* All layers are known: directories become images. */
static int convert_dirs(struct prep *p, struct qbx_err *err)
{
	phase_mark(&p->t, "resolve");
	for (size_t i = 0; i < p->layers.n; i++)
		if (p->layers.v[i].directory && convert_dir(&p->cache, &p->layers.v[i], err) < 0)
			return -1;
	return 0;
}

/* ---- one function a type of mount ---- */

static int prepare_overlay(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err)
{
	(void)m;
	if (rootfs_overlay(&p->rootfs, &p->upper, &p->layers, err) < 0 ||
	    base_find(&p->base, &p->writable, !p->cache.dry_run, err) < 0)
		return -1;
	if (p->base.dir && rootfs_add_dir(&p->layers, p->base.dir, err) < 0)
		return -1;
	if (convert_dirs(p, err) < 0)
		return -1;
	/* An export may have taken its place before its image was made. */
	return p->base.dir && !p->cache.dry_run ? base_same(&p->base, err) : 0;
}

static int prepare_erofs(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err)
{
	int r = rootfs_add_erofs(&p->layers, m, err);

	layers_turn(&p->layers);
	phase_mark(&p->t, "resolve");
	return r;
}

static int prepare_bind(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err)
{
	return rootfs_add_dir(&p->layers, m->source, err) < 0 ? -1 : convert_dirs(p, err);
}

static int prepare_tar(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err)
{
	struct layer *layer = layers_add(&p->layers, err);
	_cleanup_close_ int fd = open(m->source, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct source s = { .what = m->source, .fd = fd };
	struct stat st;

	if (!layer)
		return -1;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open %s", m->source);
	if (!S_ISREG(st.st_mode))
		return err_code(err, EX_DATAERR, "%s: not a regular file", m->source);
	s.len = (uint64_t)st.st_size;
	if (source_probe(&s, err) < 0 || source_digest(&s, err) < 0)
		return -1;
	phase_mark(&p->t, "resolve");
	return mkfs_tar(&p->cache, &s, &(struct mkfs_place){ .nbelow = 0 }, layer, err);
}

static int prepare_oci(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err)
{
	return oci_open(&p->cache, m->source, &p->layers, &p->process, &p->t, err);
}

static const struct {
	const char *type;
	int (*prepare)(struct prep *p, const struct rootfs_mount *m, struct qbx_err *err);
} types[] = {
	{ "overlay", prepare_overlay }, { "erofs", prepare_erofs },	{ "bind", prepare_bind },
	{ "tar", prepare_tar },		{ "oci-archive", prepare_oci },
};

/* ---- the root file system ---- */

/* An image that is all there is. */
static int resolve_alone(struct prep *p, struct qbx_err *err)
{
	if (!p->upper.image || p->rootfs.n != 2)
		return err_code(err, EX_DATAERR,
				"rootfs: a bind of \"%s\": only of what is in an ext4 before it",
				p->rootfs.v[p->rootfs.n - 1].source);
	phase_mark(&p->t, "resolve");
	return 0;
}

static int find_layers(struct prep *p, struct qbx_err *err)
{
	const struct rootfs_mount *m = &p->rootfs.v[p->rootfs.n - 1];
	bool format;
	const char *type = rootfs_type(m->type, &format);

	if (p->upper.alone)
		return resolve_alone(p, err);
	if (p->rootfs.n > 1 && strcmp(type, "overlay") != 0)
		return err_code(err, EX_DATAERR, "rootfs: %zu mounts, and the last is no overlay",
				p->rootfs.n);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].type, type) != 0)
			continue;
		if (strcmp(type, "overlay") != 0 && m->source[0] != '/')
			return err_code(err, EX_DATAERR,
					"rootfs: source \"%s\" is not an absolute path", m->source);
		return types[i].prepare(p, m, err);
	}
	return err_code(err, EX_DATAERR, "rootfs: a mount of type \"%s\" is not understood",
			m->type);
}

static int choose_writable(struct prep *p, const struct config *cfg, const struct box *box,
			   struct qbx_err *err)
{
	if (p->upper.image)
		return writable_given(&p->writable, p->upper.image, p->readonly, err);
	return writable_choose(&p->writable, cfg, box, p->readonly, err);
}

/* Where no directory of the host's says what the root directory is, the layers do. */
static int choose_root(struct prep *p, struct qbx_err *err)
{
	struct dir_owner o = p->upper.owner;

	if (p->writable.root)
		return 0;
	if (!p->upper.image && lookup_root(&p->layers, &o, &p->root, err) < 0)
		return -1;
	p->writable.mode = o.mode;
	p->writable.uid = o.uid;
	p->writable.gid = o.gid;
	return 0;
}

int prep_resolve(struct prep *p, const struct config *cfg, const struct box *box,
		 struct qbx_err *err)
{
	if (rootfs_read(box, &p->rootfs, err) < 0)
		return -1;
	for (const char **o = p->rootfs.v[p->rootfs.n - 1].options; *o; o++)
		if (!strcmp(*o, "ro"))
			p->readonly = true;
	if (upper_find(&p->upper, &p->rootfs, err) < 0 || choose_writable(p, cfg, box, err) < 0 ||
	    find_layers(p, err) < 0 || choose_root(p, err) < 0)
		return -1;
	phase_mark(&p->t, "convert");
	return 0;
}

void prep_free(struct prep *p)
{
	rootfs_free(&p->rootfs);
	layers_free(&p->layers);
	cache_close(&p->cache);
	base_free(&p->base);
	writable_free(&p->writable);
	json_decref(p->process);
	json_decref(p->t.t_us);
}
