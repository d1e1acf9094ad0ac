/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect: what would become what, and why
 *
 * The way is prepare's own, as with --dry-run. What is found on it is a JSON object; the lines of
 * text are made of that: inspect-print.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "inspect.h"
#include "io.h"
#include "json.h"
#include "resolve.h"
#include "volumes.h"

/* ---- what is looked at ---- */

/* A list of mounts by itself belongs to no box: names stand where one's would. */
static json_t *wrap(const char *text, size_t len, const char *what, struct qbx_err *err)
{
	json_error_t je;
	json_t *list = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);

	if (list)
		return json_pack("{s:i, s:s, s:s, s:o}", "qbx", 1, "namespace", "NAMESPACE", "id",
				 "ID", "rootfs", list);
	err_code(err, EX_DATAERR, "%s: line %d: %s", what, je.line, je.text);
	return NULL;
}

static int read_box(const struct cli *cli, struct box *box, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *what = "standard input";
	size_t len;
	json_t *doc;

	if (cli->box_path)
		return cli_read_box(cli, box, err);
	if (io_read_all(STDIN_FILENO, JSON_FILE_MAX, what, &text, &len, err) < 0)
		return -1;
	doc = text[strspn(text, " \t\r\n")] == '[' ? wrap(text, len, what, err)
						   : json_parse(text, len, what, err);
	return doc ? box_take(box, doc, what, err) : -1;
}

/* ---- what is found ---- */

static json_t *features(uint32_t bits)
{
	json_t *names = json_array();

	for (unsigned i = 0; bits; i++, bits >>= 1)
		if (bits & 1 && erofs_feature(i))
			json_array_append_new(names, json_string(erofs_feature(i)));
	return names;
}

static json_t *layer_json(const struct layer *l)
{
	static const char *const kinds[] = { [LAYER_FILE] = "file",
					     [LAYER_MOUNT] = "mount",
					     [LAYER_DIR] = "directory",
					     [LAYER_TAR] = "tar",
					     [LAYER_OCI] = "oci" };
	bool there = !l->planned && l->sb.blocks > 0;
	json_t *j = json_pack("{s:s, s:s, s:b}", "kind", kinds[l->kind], "from", l->from, "there",
			      there);

	/* The path of a directory that failed to become an image is its own. */
	if (there || l->planned)
		json_object_set_new(j, "path", json_string(l->path));
	if (!there)
		return j;
	json_object_set_new(j, "size", json_integer(l->st.st_size));
	json_object_set_new(j, "block_size", json_integer(1 << l->sb.block_bits));
	json_object_set_new(j, "features", features(l->sb.incompat));
	return j;
}

/* As far as they are proven. */
static int add_layers(json_t *found, const struct layers *l, struct qbx_err *err)
{
	json_t *layers = json_array();

	json_object_set_new(found, "layers", layers);
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].from && json_array_append_new(layers, layer_json(&l->v[i])) < 0)
			return err_code(err, EX_DATAERR, "layer %zu: a path that is not UTF-8", i);
	return 0;
}

static bool any_planned(const struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].planned)
			return true;
	return false;
}

static const char *disks_why(const struct disks *d, const struct layers *l)
{
	if (l->n < 2)
		return l->n ? "one layer is a disk as it is" : "there are no layers";
	if (d->how != DISKS_MERGED)
		return d->why ? d->why : "a disk description cannot hold the path of one of them";
	return any_planned(l) ? "mkfs.erofs is asked when all of them are there"
			      : "mkfs.erofs merges all of them";
}

/* Before doc_fs() adds the one that is written to. */
static json_t *disks_json(const struct disks *d, const struct layers *l)
{
	static const char *const hows[] = { [DISKS_NONE] = "none",
					    [DISKS_MERGED] = "merged",
					    [DISKS_PARTS] = "parts",
					    [DISKS_APART] = "disks" };
	json_t *j = json_pack("{s:s, s:i, s:s*}", "how", hows[d->how], "count",
			      (int)json_array_size(d->disks), "why", disks_why(d, l));

	if (d->how == DISKS_MERGED)
		json_object_set_new(j, "there", json_boolean(d->cached));
	return j;
}

/* What is in the upper directory, where anything is, and what comes of it. */
static json_t *upper_json(const struct prep *p)
{
	const struct base *b = &p->base;
	const char *disk = p->writable.path;
	json_t *why = NULL;

	switch (b->how) {
	case BASE_EMPTY:
		break;
	case BASE_OTHERS:
		why = b->tree.newer
			      ? json_sprintf("becomes a layer below %s, which counts where both "
					     "have something, and is older than %llu of them",
					     disk, (unsigned long long)b->tree.newer)
			      : json_string("becomes a layer");
		break;
	case BASE_EXPORTED:
		why = b->dir ? json_sprintf("exported from %s, which has them above the layer %s",
					    disk, b->dir)
			     : json_sprintf("exported from %s, which has them", disk);
		break;
	case BASE_CHANGED:
		why = json_sprintf("becomes a layer, and %s is made anew: it was exported, "
				   "and others have changed that since",
				   disk);
		break;
	}
	return json_pack("{s:s, s:I, s:b, s:o}", "path", b->upper, "entries",
			 (json_int_t)b->tree.entries, "layer", b->how != BASE_EXPORTED, "why", why);
}

/* Why the file is where it is. */
static json_t *disk_why(const struct prep *p, const char *upper)
{
	if (p->upper.image)
		return json_sprintf("mount %u of the root file system is for that", p->upper.index);
	if (!upper)
		return json_string("the root file system has no upper directory");
	return json_sprintf(p->writable.kept ? "%s is the upper directory" : "%s is not there",
			    upper);
}

static json_t *writable_json(const struct prep *p, const struct box *box, const char *upper)
{
	const struct writable *w = &p->writable;
	bool asked = json_object_get(box->doc, "writable");
	json_t *j = json_pack("{s:s}", "kind", p->readonly ? "none" : w->disk ? "disk" : "tmpfs");
	struct stat st;
	bool there;

	if (p->readonly || !w->disk) {
		json_object_set_new(j, "why",
				    json_string(p->readonly ? "the root file system is read-only"
						: asked	    ? "the document says so"
							    : "the configuration says so"));
		if (!p->readonly && w->mib)
			json_object_set_new(j, "size", json_integer((json_int_t)w->mib << 20));
		return j;
	}
	/* The box's own is made anew, and one that has nothing more that counts. */
	there = w->kept && !w->renew && lstat(w->path, &st) == 0;
	json_object_set_new(j, "path", json_string(w->path));
	json_object_set_new(j, "size", json_integer(there ? st.st_size : (json_int_t)w->mib << 20));
	json_object_set_new(j, "kept", json_boolean(w->kept));
	json_object_set_new(j, "there", json_boolean(there));
	json_object_set_new(j, "why", disk_why(p, upper));
	return j;
}

/* Is a layer above the one that was found, or the default, yet to be made? */
static bool root_unknown(const struct prep *p)
{
	const struct layers *l = &p->layers;

	for (size_t i = l->n; i-- > 0 && &l->v[i] != p->root;)
		if (l->v[i].planned)
			return true;
	return false;
}

static json_t *root_json(const struct prep *p, const char *upper)
{
	const struct writable *w = &p->writable;
	const char *dir = upper ? upper : p->rootfs.v[p->rootfs.n - 1].source;
	json_t *why = w->root	       ? json_sprintf("as the directory %s", dir)
		      : p->upper.image ? json_sprintf("as the mounts want it in %s", p->upper.image)
		      : p->root	       ? json_sprintf("as in the layer %s", p->root->path)
				       : json_string("as no layer says otherwise");

	if (w->root || p->upper.image || !root_unknown(p))
		return json_pack("{s:o, s:I, s:I, s:o}", "mode", json_sprintf("%04o", w->mode),
				 "uid", (json_int_t)w->uid, "gid", (json_int_t)w->gid, "why", why);
	json_decref(why);
	return json_pack("{s:s}", "why", "a layer that has yet to be made may say it");
}

static const char *volume_why(const struct volume *v)
{
	struct stat st;

	switch (v->kind) {
	case VOLUME_FILE:
		return "a small file, read-only or of this box alone";
	case VOLUME_DISK:
		return "the mount's type is that of a file system on a disk";
	case VOLUME_BLOCK:
		return "a block device";
	case VOLUME_SHM:
		return "memory of the host's is no use to a guest";
	case VOLUME_SHARE:
		break;
	}
	return stat(v->source, &st) == 0 && S_ISDIR(st.st_mode)
		       ? "a directory"
		       : "a file that is written to, or large";
}

static json_t *volumes_json(const json_t *fs)
{
	const json_t *from = json_object_get(fs, "volumes");
	json_t *volumes = json_array(), *j;
	size_t i;

	json_array_foreach (from, i, j) {
		struct qbx_err err = { 0 };
		struct volume v;

		if (volume_read(from, i, &v, &err) < 0)
			continue;
		json_array_append_new(volumes,
				      json_pack("{s:O, s:s, s:s, s:b, s:s}", "kind",
						json_object_get(j, "kind"), "source", v.source,
						"destination", v.destination, "readonly",
						v.readonly, "why", volume_why(&v)));
	}
	return volumes;
}

/* Below the layers: @found gets what there is before an error. */
static int look_further(struct prep *p, const struct box *box, const char *upper, json_t *found,
			struct qbx_err *err)
{
	_cleanup_(disks_free) struct disks disks = { 0 };
	json_auto_t *fs = NULL;
	int r;

	if (merge_layers(&p->cache, &p->layers, &disks, err) < 0)
		return -1;
	json_object_set_new(found, "disks", disks_json(&disks, &p->layers));
	if (p->base.how != BASE_EMPTY)
		json_object_set_new(found, "upper", upper_json(p));
	if (writable_make(&p->writable, &p->cache, err) < 0)
		return -1;
	json_object_set_new(found, "writable", writable_json(p, box, upper));
	json_object_set_new(found, "root", root_json(p, upper));
	fs = doc_fs(&disks, take_ptr(p->process), p->readonly, &p->writable, err);
	r = fs ? volumes_add(fs, box, err) : -1;
	json_object_set_new(found, "volumes", volumes_json(fs));
	return r;
}

static int look(struct prep *p, const struct config *cfg, const struct box *box, json_t *found,
		struct qbx_err *err)
{
	_cleanup_free_ char *upper = NULL;
	struct qbx_err later = { 0 };
	int r = prep_resolve(p, cfg, box, err);

	if (add_layers(found, &p->layers, r == 0 ? err : &later) < 0)
		r = -1;
	if (r == 0)
		r = writable_upper(box, &upper, err);
	return r < 0 ? -1 : look_further(p, box, upper, found, err);
}

/* ---- the verb ---- */

/* What was found is told also when the rest is refused; the first error counts. */
static int tell(const json_t *found, int r, struct qbx_err *err)
{
	struct qbx_err later = { 0 };
	int told = 0;

	if (fs_options.json) {
		told = cli_emit(found, &later);
	} else {
		inspect_print(found);
		if (fflush(stdout))
			told = err_sys(&later, errno, "write standard output");
	}
	if (r == 0 && told < 0)
		*err = later;
	return r < 0 ? r : told;
}

static int inspect(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_(prep_free) struct prep p = { .cache.fd = -1 };
	json_auto_t *found = json_object();
	int r;

	cli->dry_run = true;
	phase_begin(&p.t);
	if (read_box(cli, &box, err) < 0 || cache_open(&p.cache, cli, err) < 0)
		return -1;
	p.cache.ask = true;
	plan_hush(true);
	r = look(&p, &cli->cfg, &box, found, err);
	plan_hush(false);
	return tell(found, r, err);
}

const struct cli_verb inspect_verb = {
	.name = "inspect",
	.help = "say what the mounts, or an array of mounts alone, would become, and why",
	.run = inspect,
};
