/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootfs.c - the mounts that a root file system is given as, and the layers in them
 *
 * One mount is the root file system itself. Of several, the last is, and names the others by
 * templates (template.h): so containerd 2.2 and later hand over what they have not mounted.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "json.h"
#include "template.h"

#define MOUNTS_MAX (LAYERS_MAX + 2) /* with a writable file system and the overlay */

/* ---- reading ---- */

static int read_mount(json_t *j, struct rootfs_mount *m, struct qbx_err *err)
{
	json_t *options = NULL;
	json_error_t je;

	m->source = "";
	if (json_unpack_ex(j, &je, 0, "{s:s, s:s, s?o}", "type", &m->type, "source", &m->source,
			   "options", &options) < 0)
		return err_code(err, EX_DATAERR, "rootfs: %s", je.text);
	m->options = json_strv(options, "rootfs: options", err);
	return m->options ? 0 : -1;
}

/* Without mounts it is the directory that the specification names: `ctr run --rootfs` does so. */
static json_t *from_spec(const struct box *box, struct qbx_err *err)
{
	const char *bundle = json_string_value(json_object_get(box->doc, "bundle"));
	json_auto_t *spec = box_spec(box, err);
	const char *path =
		json_string_value(json_object_get(json_object_get(spec, "root"), "path"));

	if (err->code)
		return NULL;
	if (!path || !*path || (*path != '/' && !bundle)) {
		err_code(err, EX_DATAERR, "\"rootfs\" is missing or empty");
		err_hint(err, "it says what the root file system is made of: qbx-json(7)");
		return NULL;
	}
	return json_pack("[{s:s, s:o}]", "type", "bind", "source",
			 *path == '/' ? json_string(path) : json_sprintf("%s/%s", bundle, path));
}

int rootfs_read(const struct box *box, struct rootfs *r, struct qbx_err *err)
{
	json_t *rootfs = json_object_get(box->doc, "rootfs"), *j;
	size_t i, n;

	r->mounts = json_array_size(rootfs) > 0 ? json_incref(rootfs) : from_spec(box, err);
	if (!r->mounts)
		return -1;
	n = json_array_size(r->mounts);
	if (n > MOUNTS_MAX)
		return err_code(err, EX_DATAERR,
				"rootfs: %zu mounts, where up to %u are understood", n, MOUNTS_MAX);
	r->v = calloc(n, sizeof(*r->v));
	if (!r->v)
		return err_sys(err, ENOMEM, "rootfs");
	json_array_foreach (r->mounts, i, j) {
		r->n = i + 1;
		if (read_mount(j, &r->v[i], err) < 0 || rootfs_check_options(&r->v[i], err) < 0)
			return -1;
	}
	return 0;
}

void rootfs_free(struct rootfs *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].options);
	free(r->v);
	json_decref(r->mounts);
}

const char *rootfs_type(const char *type, bool *format)
{
	const char *rest = type;

	*format = false;
	if (!strncmp(rest, "format/", 7)) {
		*format = true;
		rest += 7;
	}
	return strncmp(rest, "mkdir/", 6) ? rest : rest + 6;
}

/* ---- layers ---- */

/* A list of layers that is being read. */
struct list {
	const struct rootfs *r;
	struct layers *l;
	bool format;		/* templates have a meaning */
	bool taken[MOUNTS_MAX]; /* mounts that are layers already */
};

int rootfs_add_dir(struct layers *l, const char *dir, struct qbx_err *err)
{
	struct layer *layer;
	int r;

	if (dir[0] != '/')
		return err_code(err, EX_DATAERR, "rootfs: lowerdir \"%s\" is not an absolute path",
				dir);
	layer = layers_add(l, err);
	r = layer ? layer_of_mount(layer, dir, err) : -1;
	if (r != 0)
		return r < 0 ? -1 : layer_found(layer, LAYER_MOUNT, dir, err);
	layer->directory = true;
	layer->path = strdup(dir);
	return layer->path ? layer_found(layer, LAYER_DIR, dir, err)
			   : err_sys(err, ENOMEM, "%s", dir);
}

/* An image by its path, top first. */
static int add_image(struct layers *l, const char *path, struct qbx_err *err)
{
	struct layer *layer;

	if (path[0] != '/')
		return err_code(err, EX_DATAERR, "rootfs: source \"%s\" is not an absolute path",
				path);
	layer = layers_add(l, err);
	if (!layer || layer_open(layer, path, err) < 0)
		return -1;
	return layer_found(layer, LAYER_FILE, path, err);
}

/*
 * Merged metadata, and the images that it takes its data from, base first, in options. They are the
 * layers; the metadata is made again with what else there may be.
 */
static int add_devices(struct layers *l, const struct rootfs_mount *m, size_t n,
		       struct qbx_err *err)
{
	struct layer meta = { 0 };
	int r = layer_open_merged(&meta, m->source, err);
	size_t i = 0;

	free(meta.path);
	if (r < 0)
		return -1;
	if (meta.sb.devices != n)
		return err_code(err, EX_DATAERR, "%s: an EROFS image that needs %u more, not %zu",
				m->source, meta.sb.devices, n);
	while (m->options[i])
		i++;
	while (i-- > 0)
		if (!strncmp(m->options[i], "device=", 7) &&
		    add_image(l, m->options[i] + 7, err) < 0)
			return -1;
	return 0;
}

int rootfs_add_erofs(struct layers *l, const struct rootfs_mount *m, struct qbx_err *err)
{
	size_t devices = 0;

	for (const char **o = m->options; *o; o++)
		devices += !strncmp(*o, "device=", 7);
	return devices ? add_devices(l, m, devices, err) : add_image(l, m->source, err);
}

/* The mount with that index, as a layer. */
static int add_mount(struct list *k, unsigned i, struct qbx_err *err)
{
	if (i + 1 >= k->r->n)
		return err_code(err, EX_DATAERR,
				"rootfs: mount %u in a template: %zu are before it", i,
				k->r->n - 1);
	if (strcmp(k->r->v[i].type, "erofs") != 0)
		return err_code(err, EX_DATAERR, "rootfs: mount %u is a layer of type \"%s\"", i,
				k->r->v[i].type);
	if (k->taken[i])
		return err_code(err, EX_DATAERR, "rootfs: mount %u is a layer twice", i);
	k->taken[i] = true;
	return rootfs_add_erofs(k->l, &k->r->v[i], err);
}

static int add_template(struct list *k, const struct template *t, struct qbx_err *err)
{
	for (unsigned i = t->first;; t->first <= t->last ? i++ : i--) {
		if (add_mount(k, i, err) < 0)
			return -1;
		if (i == t->last)
			return 0;
	}
}

/*
 * The next directory of a lowerdir list, in place, with overlayfs's escapes undone: a backslash
 * takes the character after it as it is.
 */
static char *next_lower(char **list)
{
	char *start = *list, *to = start, *p = start;

	for (; *p && *p != ':'; p++) {
		if (*p == '\\' && p[1])
			p++;
		*to++ = *p;
	}
	*list = *p ? p + 1 : NULL;
	*to = '\0';
	return start;
}

/* A lowerdir list, top first. */
static int add_list(struct list *k, const char *text, struct qbx_err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *p = copy;

	if (!copy)
		return err_sys(err, ENOMEM, "rootfs");
	while (p) {
		struct template t;
		const char *at = p;
		int r = k->format ? template_take(&at, &t, err) : 0;

		if (r < 0)
			return err_wrap(err, "rootfs");
		if (r == 0 && rootfs_add_dir(k->l, next_lower(&p), err) < 0)
			return -1;
		if (r == 0)
			continue;
		if (*at && *at != ':')
			return err_code(err, EX_DATAERR,
					"rootfs: lowerdir \"%.60s\" behind a template", at);
		if (add_template(k, &t, err) < 0)
			return -1;
		p = *at ? copy + (at - copy) + 1 : NULL;
	}
	return 0;
}

static int check_unused(const struct list *k, struct qbx_err *err)
{
	for (size_t i = 0; i + 1 < k->r->n; i++)
		if (!k->taken[i])
			return err_code(
				err, EX_DATAERR,
				"rootfs: mount %zu, of type \"%s\", is not used by the last", i,
				k->r->v[i].type);
	return 0;
}

/* Top first. */
static int read_overlay(struct list *k, const struct rootfs_mount *m, struct qbx_err *err)
{
	for (const char **o = m->options; *o; o++)
		if (!strncmp(*o, "lowerdir=", 9) && add_list(k, *o + 9, err) < 0)
			return -1;
	return 0;
}

int rootfs_overlay(const struct rootfs *r, const struct upper *u, struct layers *l,
		   struct qbx_err *err)
{
	const struct rootfs_mount *m = &r->v[r->n - 1];
	struct list k = { .r = r, .l = l };
	int ret;

	rootfs_type(m->type, &k.format);
	if (u->image)
		k.taken[u->index] = true;
	ret = read_overlay(&k, m, err);
	layers_turn(l);
	if (ret < 0)
		return -1;
	if (l->n == 0)
		return err_code(err, EX_DATAERR, "rootfs: an overlay without lowerdir=");
	return check_unused(&k, err);
}
