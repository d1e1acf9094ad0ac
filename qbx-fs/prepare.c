/* SPDX-License-Identifier: Apache-2.0 */
/* prepare: make disks of the mounts in "rootfs" */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs.h"
#include "json.h"
#include "writable.h"

/* One element of "rootfs". */
struct rootfs {
	const char *type, *source;
	const char **options; /* NULL-terminated, owned; the strings are the document's */
};

struct prep {
	struct cache cache;
	struct layers layers;
	struct phases t;
	struct writable writable;
	json_t *process;
	bool readonly;
};

/* ---- one function a type of mount ---- */

/*
 * The next directory of a lowerdir list, in place, with overlayfs's escapes undone: a backslash
 * takes the character after it as it is.
 */
static char *next_lower(char **list)
{
	char *start = *list, *to = start, *p = start;

	if (!p)
		return NULL;
	for (; *p && *p != ':'; p++) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p;
	}
	*list = *p ? p + 1 : NULL;
	*to = '\0';
	return start;
}

/* One more layer: the image that is mounted there, or the directory as it is. */
static int add_dir(struct layers *l, const char *dir, struct qbx_err *err)
{
	struct layer *layer = layers_add(l, err);
	int r = layer ? layer_of_mount(layer, dir, err) : -1;

	if (r != 0)
		return r < 0 ? -1 : 0;
	layer->directory = true;
	layer->path = strdup(dir);
	return layer->path ? 0 : err_sys(err, ENOMEM, "%s", dir);
}

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

static int add_lower(struct layers *l, const char *dir, struct qbx_err *err)
{
	if (dir[0] != '/')
		return err_code(err, EX_DATAERR, "rootfs: lowerdir \"%s\" is not an absolute path",
				dir);
	return add_dir(l, dir, err);
}

/* The list has the top first. */
static void turn(struct layers *l)
{
	for (size_t i = 0; i < l->n / 2; i++) {
		struct layer tmp = l->v[i];

		l->v[i] = l->v[l->n - 1 - i];
		l->v[l->n - 1 - i] = tmp;
	}
}

static int prepare_overlay(struct prep *p, const struct rootfs *m, struct qbx_err *err)
{
	for (const char **o = m->options; *o; o++) {
		_cleanup_free_ char *copy = NULL;
		char *list, *dir;

		if (strncmp(*o, "lowerdir=", 9) != 0)
			continue;
		list = copy = strdup(*o + 9);
		if (!copy)
			return err_sys(err, ENOMEM, "rootfs");
		while ((dir = next_lower(&list)))
			if (add_lower(&p->layers, dir, err) < 0)
				return -1;
	}
	if (p->layers.n == 0)
		return err_code(err, EX_DATAERR, "rootfs: an overlay without lowerdir=");
	turn(&p->layers);
	return convert_dirs(p, err);
}

static int prepare_erofs(struct prep *p, const struct rootfs *m, struct qbx_err *err)
{
	struct layer *layer = layers_add(&p->layers, err);

	if (!layer || layer_open(layer, m->source, err) < 0)
		return -1;
	phase_mark(&p->t, "resolve");
	return 0;
}

static int prepare_bind(struct prep *p, const struct rootfs *m, struct qbx_err *err)
{
	return add_dir(&p->layers, m->source, err) < 0 ? -1 : convert_dirs(p, err);
}

static int prepare_tar(struct prep *p, const struct rootfs *m, struct qbx_err *err)
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
	return mkfs_tar(&p->cache, &s, false, layer, err);
}

static int prepare_oci(struct prep *p, const struct rootfs *m, struct qbx_err *err)
{
	return oci_open(&p->cache, m->source, &p->layers, &p->process, &p->t, err);
}

static const struct {
	const char *type;
	int (*prepare)(struct prep *p, const struct rootfs *m, struct qbx_err *err);
} types[] = {
	{ "overlay", prepare_overlay }, { "erofs", prepare_erofs },	{ "bind", prepare_bind },
	{ "tar", prepare_tar },		{ "oci-archive", prepare_oci },
};

/* ---- the verb ---- */

/* The one mount in "rootfs"; its options are the caller's to free. */
static int read_rootfs(const json_t *doc, struct rootfs *m, struct qbx_err *err)
{
	json_t *rootfs = json_object_get(doc, "rootfs"), *options = NULL;
	json_error_t je;

	if (json_array_size(rootfs) == 0) {
		err_code(err, EX_DATAERR, "\"rootfs\" is missing or empty");
		return err_hint(err, "it says what the root file system is made of: qbx-json(7)");
	}
	if (json_array_size(rootfs) > 1)
		return err_code(err, EX_DATAERR, "rootfs: %zu mounts, where one is understood",
				json_array_size(rootfs));
	if (json_unpack_ex(json_array_get(rootfs, 0), &je, 0, "{s:s, s:s, s?o}", "type", &m->type,
			   "source", &m->source, "options", &options) < 0) {
		err_code(err, EX_DATAERR, "rootfs: %s", je.text);
		return -1;
	}
	m->options = json_strv(options, "rootfs: options", err);
	return m->options ? 0 : -1;
}

static int resolve(struct prep *p, const struct rootfs *m, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].type, m->type) != 0)
			continue;
		if (strcmp(m->type, "overlay") != 0 && m->source[0] != '/')
			return err_code(err, EX_DATAERR,
					"rootfs: source \"%s\" is not an absolute path", m->source);
		return types[i].prepare(p, m, err);
	}
	return err_code(err, EX_DATAERR, "rootfs: a mount of type \"%s\" is not understood",
			m->type);
}

static int make_fs(struct prep *p, const struct config *cfg, const struct box *box, json_t **fs,
		   struct qbx_err *err)
{
	_cleanup_free_ const char **options = NULL;
	struct rootfs m = { .type = "", .source = "" };
	json_t *disks;

	if (read_rootfs(box->doc, &m, err) < 0)
		return -1;
	options = m.options;
	for (const char **o = options; o && *o; o++)
		if (!strcmp(*o, "ro"))
			p->readonly = true;
	if (writable_choose(&p->writable, cfg, box, p->readonly, err) < 0 ||
	    resolve(p, &m, err) < 0)
		return -1;
	phase_mark(&p->t, "convert");
	if (merge_layers(&p->cache, &p->layers, &disks, err) < 0)
		return -1;
	phase_mark(&p->t, "merge");
	if (writable_make(&p->writable, &p->cache, err) < 0) {
		json_decref(disks);
		return -1;
	}
	phase_mark(&p->t, "writable");
	*fs = doc_fs(disks, take_ptr(p->process), p->readonly, &p->writable, err);
	return *fs ? 0 : -1;
}

static int emit(struct cli *cli, struct box *box, json_t *fs, struct prep *p, struct qbx_err *err)
{
	if (cli->dry_run) {
		json_decref(fs);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	json_object_set_new(fs, "t_us", phase_take(&p->t));
	if (json_object_set_new(box->doc, "fs", fs) < 0)
		return err_sys(err, ENOMEM, "write the document");
	if (json_dumpb(box->doc, NULL, 0, JSON_COMPACT) >= JSON_FILE_MAX)
		return err_code(err, EX_DATAERR, "the document would be larger than %u bytes",
				JSON_FILE_MAX);
	return cli_emit(box->doc, err);
}

static int prepare(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	struct prep p = { .cache.fd = -1 };
	json_t *fs;
	int r;

	phase_begin(&p.t);
	r = cli_read_box(cli, &box, err);
	if (r == 0)
		r = cache_open(&p.cache, cli, err);
	if (r == 0)
		r = make_fs(&p, &cli->cfg, &box, &fs, err);
	if (r == 0)
		r = emit(cli, &box, fs, &p, err);
	layers_free(&p.layers);
	cache_close(&p.cache);
	writable_free(&p.writable);
	json_decref(p.process);
	json_decref(p.t.t_us);
	return r;
}

const struct cli_verb prepare_verb = {
	.name = "prepare",
	.help = "make disks of the mounts in \"rootfs\" and add the \"fs\" key",
	.run = prepare,
};
