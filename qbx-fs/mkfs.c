/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkfs.c - run mkfs.erofs
 *
 * Options: the images are uncompressed and without inline data, as a merge takes no others; -T0
 * --mkfs-time and a fixed UUID make the same input the same image. The output is a descriptor
 * without a name, reached as /proc/self/fd/3. A merge refers to its layers by position only, so an
 * image may be moved but never changed under one.
 *
 * A tar archive is unpacked first, to a file without a name: mend.c looks through it before it becomes
 * an image. A layer that hides all below it says so in its label.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "child.h"
#include "fs.h"
#include "io.h"
#include "proc.h"

#define FIXED_OPTIONS "--quiet", "-Enoinline_data", "-T0", "--mkfs-time"
#define OUTPUT_FD 3
#define PLAIN_LABEL "layer"
#define OPAQUE_LABEL "opaque layer"
#define OUTPUT_PATH "/proc/self/fd/3"
#define HINT_DAMAGED "remove that file: it is made again when it is wanted"

static int start_mkfs(struct child *c, const char *const argv[], int in, int out,
		      struct qbx_err *err)
{
	if (child_start(c, argv, in, out, OUTPUT_FD, err) == 0)
		return 0;
	return err->sys == ENOENT ? err_hint(err, CHILD_HINT_VERSION) : -1;
}

static int run(const char *const argv[], int in, int out, const char *what, struct qbx_err *err)
{
	_cleanup_(child_free) struct child mkfs = CHILD_NONE;
	int status;

	if (start_mkfs(&mkfs, argv, in, out, err) < 0)
		return -1;
	status = proc_reap(mkfs.pidfd);
	return status ? child_failed(&mkfs, status, what, err) : 0;
}

/* A UUID that follows from a digest, marked as one of vendor's choice (RFC 9562, version 8). */
static void uuid_of(const char *hex, char uuid[37])
{
	snprintf(uuid, 37, "%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 13, hex + 17,
		 hex + 20);
}

/* ---- a tar archive ---- */

struct tar_job {
	const struct cache *cache;
	const struct source *source;
	const struct mkfs_place *place;
	const char *const *argv;
	char label[16];	  /* in argv */
	bool needs_below; /* what it was asked to make depends on the layers below */
};

static const char *const *unpacker(enum packing packing)
{
	static const char *const gzip[] = { "gzip", "-dc", NULL };
	static const char *const zstd[] = { "zstd", "-dcq", NULL };

	return packing == PACK_GZIP ? gzip : packing == PACK_ZSTD ? zstd : NULL;
}

/* The archive as it is, in the file @to. */
static int unpack(const struct source *s, int to, struct qbx_err *err)
{
	const char *const *argv = unpacker(s->packing);
	_cleanup_(child_free) struct child child = CHILD_NONE;
	_cleanup_close_ int r = -1, w = -1;
	int p[2], fed, status;

	if (!argv)
		return source_feed(s, to, err);
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	r = p[0];
	w = p[1];
	if (child_start(&child, argv, r, to, STDOUT_FILENO, err) < 0)
		return -1;
	close(take_fd(&r)); /* only the child holds this end now, so that we see it go */
	fed = source_feed(s, w, err);
	close(take_fd(&w));
	status = proc_reap(child.pidfd);
	/* Wrong bytes explain a bad archive. */
	if (fed < 0)
		return -1;
	return status ? child_failed(&child, status, s->what, err) : 0;
}

/* mkfs.erofs on what mend_feed() writes. */
static int make_mended(const struct tar_job *job, const struct mend *m, int out,
		       struct qbx_err *err)
{
	_cleanup_(child_free) struct child mkfs = CHILD_NONE;
	_cleanup_close_ int r = -1, w = -1;
	int p[2], fed, status;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	r = p[0];
	w = p[1];
	if (start_mkfs(&mkfs, job->argv, r, out, err) < 0)
		return -1;
	close(take_fd(&r));
	fed = mend_feed(m, job->place->below, job->place->nbelow, w, err);
	close(take_fd(&w));
	status = proc_reap(mkfs.pidfd);
	if (fed < 0)
		return -1;
	return status ? child_failed(&mkfs, status, job->source->what, err) : 0;
}

static int build_mended(struct tar_job *job, struct mend *m, int tar, int out, struct qbx_err *err)
{
	if (mend_scan(m, tar, err) < 0)
		return -1;
	if (m->missing && job->place->chain && !job->needs_below) {
		job->needs_below = true;
		return err_code(err, EX_SOFTWARE, "%s: needs the layers below", m->what);
	}
	if (m->opaque)
		strcpy(job->label, OPAQUE_LABEL);
	if (mend_needed(m))
		return make_mended(job, m, out, err);
	if (lseek(tar, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "%s", m->what);
	return run(job->argv, tar, out, m->what, err);
}

static int build_tar(void *arg, int fd, struct qbx_err *err)
{
	struct tar_job *job = arg;
	_cleanup_(mend_free) struct mend m = { .what = job->source->what,
					       .whiteouts = job->place->chain != NULL };
	_cleanup_close_ int tar = cache_scratch(job->cache, err);

	if (tar < 0 || unpack(job->source, tar, err) < 0)
		return -1;
	return build_mended(job, &m, tar, fd, err);
}

/* ---- common ---- */

/* Have @name in the cache and its @path; or, in a dry run, plan to. */
static int have(const struct cache *c, const char *name, const char *what, cache_build_fn *build,
		void *job, const char *const argv[], char **out, bool *planned, struct qbx_err *err)
{
	_cleanup_free_ char *path = cache_path(c, name, err);

	if (!path)
		return -1;
	*planned = c->dry_run && !cache_has(c, name);
	if (*planned) {
		plan_line("make %s of %s:", path, what);
		plan_argv(argv);
	} else if (c->dry_run) {
		plan_line("use %s of %s", path, what);
	} else if (cache_make(c, name, build, job, err) < 0) {
		return -1;
	}
	*out = take_ptr(path);
	return 0;
}

/* have() for what becomes a layer. */
static int have_layer(const struct cache *c, const char *name, const char *what,
		      cache_build_fn *build, void *job, const char *const argv[],
		      enum layer_kind kind, struct layer *l, struct qbx_err *err)
{
	_cleanup_free_ char *path = NULL;

	if (have(c, name, what, build, job, argv, &path, &l->planned, err) < 0)
		return -1;
	if (l->planned)
		l->path = take_ptr(path);
	else if (layer_open(l, path, err) < 0)
		return err_hint(err, HINT_DAMAGED);
	return layer_found(l, kind, what, err);
}

/* have_layer() of a tar archive, called @prefix and a digest. */
static int have_tar(struct tar_job *job, const char *prefix, const char *digest, struct layer *out,
		    struct qbx_err *err)
{
	char name[SHA256_HEX_LEN + 17], uuid[37];
	/* With --aufs .wh. files become what overlayfs takes for a whiteout. */
	const char *const layer[] = { "mkfs.erofs", FIXED_OPTIONS, "-U",       uuid,
				      "--tar=f",    "-L",	   job->label, "--sort=none",
				      "--aufs",	    OUTPUT_PATH,   NULL };
	const char *const root[] = { "mkfs.erofs", FIXED_OPTIONS, "-U",	      uuid,
				     "--tar=f",	   "-L",	  job->label, "--sort=none",
				     OUTPUT_PATH,  NULL };
	const char *const *argv = job->place->chain ? layer : root;

	job->argv = argv;
	strcpy(job->label, PLAIN_LABEL);
	uuid_of(digest, uuid);
	snprintf(name, sizeof(name), "%s-%s.erofs", prefix, digest);
	if (have_layer(job->cache, name, job->source->what, build_tar, job, argv,
		       job->place->chain ? LAYER_OCI : LAYER_TAR, out, err) < 0)
		return -1;
	out->opaque = !out->planned && !strcmp(out->sb.label, OPAQUE_LABEL);
	return 0;
}

static bool has_tar(const struct cache *c, const char *prefix, const char *digest)
{
	char name[SHA256_HEX_LEN + 17];

	snprintf(name, sizeof(name), "%s-%s.erofs", prefix, digest);
	return cache_has(c, name);
}

int mkfs_tar(const struct cache *c, const struct source *s, const struct mkfs_place *place,
	     struct layer *out, struct qbx_err *err)
{
	struct tar_job job = { .cache = c, .source = s, .place = place };

	if (!place->chain)
		return have_tar(&job, "tar", s->digest, out, err);
	if (!has_tar(c, "chain", place->chain) || has_tar(c, "layer", s->digest)) {
		if (have_tar(&job, "layer", s->digest, out, err) == 0)
			return 0;
		if (!job.needs_below)
			return -1;
		err_forget(err);
	}
	job.needs_below = true;
	return have_tar(&job, "chain", place->chain, out, err);
}

/* ---- a directory ---- */

struct dir_job {
	const char *what, *digest, *const *argv;
	int dirfd;
};

/* For gc; where the file system cannot keep it, gc does not know that the directory is there. */
static int note_source(int fd, const char *dir, struct qbx_err *err)
{
	if (fsetxattr(fd, MKFS_SOURCE_XATTR, dir, strlen(dir), 0) < 0 && errno != EOPNOTSUPP)
		return err_sys(err, errno, "note what an image is made of");
	return 0;
}

static int build_dir(void *arg, int fd, struct qbx_err *err)
{
	const struct dir_job *job = arg;
	char now[SHA256_HEX_LEN + 1];

	if (run(job->argv, -1, fd, job->what, err) < 0)
		return -1;
	if (dirtree_digest(job->dirfd, job->what, now, err) < 0)
		return -1;
	if (strcmp(now, job->digest) == 0)
		return note_source(fd, job->what, err);
	err_code(err, EX_TEMPFAIL, "%s: changed while it was read", job->what);
	return err_hint(err, "stop what writes there, or use a copy");
}

int mkfs_dir(const struct cache *c, const char *dir, int dirfd, const char *digest,
	     struct layer *out, struct qbx_err *err)
{
	char name[SHA256_HEX_LEN + 17], uuid[37];
	const char *const argv[] = {
		"mkfs.erofs", FIXED_OPTIONS, "-U", uuid, OUTPUT_PATH, dir, NULL
	};
	struct dir_job job = { .what = dir, .digest = digest, .argv = argv, .dirfd = dirfd };

	uuid_of(digest, uuid);
	snprintf(name, sizeof(name), "dir-%s.erofs", digest);
	return have_layer(c, name, dir, build_dir, &job, argv, LAYER_DIR, out, err);
}

/* ---- merged metadata ---- */

struct merge_job {
	const char *const *argv;
	bool unmergeable; /* it ran, and said no */
};

static int build_merge(void *arg, int fd, struct qbx_err *err)
{
	struct merge_job *job = arg;

	if (run(job->argv, -1, fd, "merge", err) == 0)
		return 0;
	job->unmergeable = err->code == EX_DATAERR || err->code == EX_UNAVAILABLE;
	return -1;
}

/* Whether it could be made is known when it was. */
static int try_merge(struct merge_job *job, struct qbx_err *err)
{
	_cleanup_close_ int fd = memfd_create("merge", MFD_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "make a file in memory") : build_merge(job, fd, err);
}

/* What the merge is made of: paths may come to mean other files, so the files themselves count. */
static void merge_name(const struct layers *l, char *name, size_t size)
{
	char hex[SHA256_HEX_LEN + 1];
	SHA2_CTX sha;

	SHA256Init(&sha);
	for (size_t i = 0; i < l->n; i++) {
		const struct stat *st = &l->v[i].st;
		const uint64_t v[] = { st->st_dev,
				       st->st_ino,
				       (uint64_t)st->st_size,
				       (uint64_t)st->st_mtim.tv_sec,
				       (uint64_t)st->st_mtim.tv_nsec,
				       (uint64_t)st->st_ctim.tv_sec,
				       (uint64_t)st->st_ctim.tv_nsec };

		digest_add(&sha, v, sizeof(v));
	}
	SHA256End(&sha, hex);
	snprintf(name, size, "merge-%s.erofs", hex);
}

int mkfs_merge(const struct cache *c, const struct layers *l, struct layer *out,
	       struct qbx_err *err)
{
	static const char *const fixed[] = { "mkfs.erofs", FIXED_OPTIONS,     "-Uclear",
					     "--aufs",	   "--ovlfs-strip=1", OUTPUT_PATH };
	const char *argv[ARRAY_SIZE(fixed) + LAYERS_MAX + 1] = { NULL };
	struct merge_job job = { .argv = argv };
	_cleanup_free_ char *path = NULL;
	char name[SHA256_HEX_LEN + 17];
	bool any_planned = false;

	memcpy(argv, fixed, sizeof(fixed));
	for (size_t i = 0; i < l->n; i++) {
		argv[ARRAY_SIZE(fixed) + i] = l->v[i].path;
		any_planned |= l->v[i].planned;
	}
	if (any_planned) {
		plan_line("make an image of the merged metadata, when the layers are there:");
		plan_argv(argv);
		out->planned = true;
		return 1;
	}
	merge_name(l, name, sizeof(name));
	if (c->ask && !cache_has(c, name) && try_merge(&job, err) < 0)
		return job.unmergeable ? 0 : -1;
	if (have(c, name, "the merge", build_merge, &job, argv, &path, &out->planned, err) < 0)
		return job.unmergeable ? 0 : -1;
	if (!out->planned && layer_open_merged(out, path, err) < 0)
		return err_hint(err, HINT_DAMAGED);
	return 1;
}
