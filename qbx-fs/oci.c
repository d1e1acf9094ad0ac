/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.c - an OCI image in a tar archive
 *
 * Every blob is taken by its digest and checked against it: index.json names the image's manifest,
 * that one the configuration and the layers. A layer's image in the cache is named by the digest of
 * the blob, not by the "diff id" that the configuration claims for it.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "image.h"
#include "json.h"
#include "passwd.h"

#define INDEX_DEPTH_MAX 4
#define HINT_LAYOUT "it must be an OCI image layout, as ctr image export or skopeo make it"

static const struct archive_entry *find_blob(const struct archive *a, const struct image_ref *ref,
					     struct qbx_err *err)
{
	const struct archive_entry *e;
	char name[SHA256_HEX_LEN + 17];

	snprintf(name, sizeof(name), "blobs/sha256/%s", ref->digest);
	e = archive_find(a, name);
	if (!e) {
		err_code(err, EX_DATAERR, "%s: %s is missing", a->path, name);
		err_hint(err, "the archive is incomplete: export it again");
	} else if (e->len != ref->size) {
		err_code(err, EX_DATAERR, "%s: %s has %llu bytes, not %llu", a->path, name,
			 (unsigned long long)e->len, (unsigned long long)ref->size);
		e = NULL;
	}
	return e;
}

/* A blob of JSON, checked; new reference. */
static json_t *read_json(const struct archive *a, const struct image_ref *ref, struct qbx_err *err)
{
	const struct archive_entry *e = find_blob(a, ref, err);
	_cleanup_free_ char *text = e ? archive_read(a, e, JSON_FILE_MAX, err) : NULL;
	char hex[SHA256_HEX_LEN + 1];
	json_t *j;

	if (!text)
		return NULL;
	sha256_hex(text, e->len, hex);
	if (strcmp(hex, ref->digest) != 0) {
		err_code(err, EX_DATAERR, "%s: %s: its digest is sha256:%s", a->path, e->name, hex);
		return NULL;
	}
	j = json_parse(text, e->len, e->name, err);
	if (!j)
		err_wrap(err, "%s", a->path);
	return j;
}

static json_t *read_index(const struct archive *a, struct qbx_err *err)
{
	const struct archive_entry *layout = archive_find(a, "oci-layout");
	const struct archive_entry *e = archive_find(a, "index.json");
	_cleanup_free_ char *text = NULL;
	json_t *j;

	if (!layout || !e) {
		err_code(err, EX_DATAERR, "%s: no %s in it", a->path,
			 layout ? "index.json" : "oci-layout");
		err_hint(err, HINT_LAYOUT);
		return NULL;
	}
	text = archive_read(a, e, JSON_FILE_MAX, err);
	j = text ? json_parse(text, e->len, e->name, err) : NULL;
	if (text && !j)
		err_wrap(err, "%s", a->path);
	return j;
}

/* The manifest of the one image for this machine; an index may hold indexes. New reference. */
static json_t *read_manifest(const struct archive *a, struct qbx_err *err)
{
	json_t *j = read_index(a, err);

	for (int depth = 0; j && depth < INDEX_DEPTH_MAX; depth++) {
		struct image_ref ref;
		int r = image_pick(j, &ref, err);

		json_decref(j);
		if (r < 0) {
			err_wrap(err, "%s", a->path);
			return NULL;
		}
		j = read_json(a, &ref, err);
		if (!j || (!ref.is_index && !json_object_get(j, "manifests")))
			return j;
	}
	if (j)
		err_code(err, EX_DATAERR, "%s: more than %d indexes in one another", a->path,
			 INDEX_DEPTH_MAX);
	json_decref(j);
	return NULL;
}

/* The digest of all layers up to one, with @digest that of those below or "" before the first. */
static void chain(char digest[SHA256_HEX_LEN + 1], const char *layer)
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	digest_add(&sha, digest, strlen(digest));
	digest_add(&sha, layer, strlen(layer));
	SHA256End(&sha, digest);
}

/* One layer of the manifest, as an image in the cache. */
static int add_layer(const struct cache *c, const struct archive *a, const json_t *j,
		     struct layers *l, char digest[SHA256_HEX_LEN + 1], struct qbx_err *err)
{
	struct mkfs_place place = { .chain = digest };
	struct source s = { .fd = a->fd };
	const struct archive_entry *e;
	struct image_ref ref;
	struct layer *layer;
	char what[512];

	if (image_ref_decode(j, &ref, err) < 0)
		return err_wrap(err, "%s", a->path);
	e = find_blob(a, &ref, err);
	layer = e ? layers_add(l, err) : NULL;
	if (!layer)
		return -1;
	snprintf(what, sizeof(what), "%.400s: %s", a->path, e->name);
	s.what = what;
	s.offset = e->offset;
	s.len = e->len;
	memcpy(s.digest, ref.digest, sizeof(s.digest));
	if (source_probe(&s, err) < 0)
		return -1;
	chain(digest, s.digest);
	place.below = l->v;
	place.nbelow = l->n - 1;
	if (mkfs_tar(c, &s, &place, layer, err) < 0)
		return -1;
	if (layer->opaque)
		layers_only_top(l);
	return 0;
}

/* The "user" of the process. */
static json_t *resolve_user(const struct cache *c, const struct layers *l, const char *user,
			    struct qbx_err *err)
{
	_cleanup_free_ char *passwd = NULL, *group = NULL;
	struct passwd_user u;
	json_t *j, *groups;

	if (passwd_needed(user) && c->dry_run) {
		plan_line("look up user \"%s\" in /etc/passwd and /etc/group of the layers", user);
	} else if (passwd_needed(user)) {
		passwd = users_read(l, "/etc/passwd", err);
		group = passwd ? users_read(l, "/etc/group", err) : NULL;
		if (!group)
			return NULL;
	}
	if (c->dry_run)
		return json_object();
	if (passwd_resolve(user, passwd ? passwd : "", group ? group : "", &u, err) < 0)
		return NULL;
	j = json_pack("{s:I, s:I}", "uid", (json_int_t)u.uid, "gid", (json_int_t)u.gid);
	if (u.ngroups == 0)
		return j;
	groups = json_array();
	for (size_t i = 0; i < u.ngroups; i++)
		json_array_append_new(groups, json_integer(u.groups[i]));
	json_object_set_new(j, "additionalGids", groups);
	return j;
}

static int open_image(const struct cache *c, const struct archive *a, struct layers *l,
		      json_t **process, struct phases *t, struct qbx_err *err)
{
	json_auto_t *manifest = read_manifest(a, err), *config = NULL;
	const json_t *layers = manifest ? image_layers(manifest, LAYERS_MAX, err) : NULL;
	char digest[SHA256_HEX_LEN + 1] = "";
	struct image_ref ref;
	const char *user;
	json_t *j;
	size_t i;

	if (!manifest)
		return -1;
	if (!layers || image_ref_decode(json_object_get(manifest, "config"), &ref, err) < 0)
		return err_wrap(err, "%s", a->path);
	config = read_json(a, &ref, err);
	if (!config)
		return -1;
	*process = image_process(config, &user, err);
	if (!*process)
		return err_wrap(err, "%s", a->path);
	phase_mark(t, "resolve");
	json_array_foreach (layers, i, j)
		if (add_layer(c, a, j, l, digest, err) < 0)
			return -1;
	j = resolve_user(c, l, user, err);
	if (!j)
		return err_wrap(err, "%s", a->path);
	return json_object_set_new(*process, "user", j);
}

int oci_open(const struct cache *c, const char *archive, struct layers *l, json_t **process,
	     struct phases *t, struct qbx_err *err)
{
	struct archive a;
	int r = archive_open(&a, archive, err);

	if (r == 0)
		r = open_image(c, &a, l, process, t, err);
	archive_close(&a);
	return r;
}
