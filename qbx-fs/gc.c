/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc: remove what no box and no snapshot needs
 *
 * A box needs what its lease lists, and what its document in run_dir names. A directory, such as a
 * snapshot's, needs the image that was made of it as long as it is as it was; a disk description, and
 * the metadata in it, is needed as long as all of the layers are there; an empty file system, as long
 * as boxes get or have its size. Everything else can be made again from what it was made of.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "beside.h"
#include "ext4.h"
#include "fs.h"
#include "io.h"
#include "json.h"

#define LEASE_SECONDS 3600
#define VMDK_MAX (1u << 20)

struct gc {
	const struct cli *cli;
	struct cache cache;
	json_t *needed; /* names in the cache: an object with true */
};

/* ---- what is needed ---- */

static void need(struct gc *g, const char *name)
{
	json_object_set_new(g->needed, name, json_true());
}

static bool is_needed(const struct gc *g, const char *name)
{
	return json_object_get(g->needed, name);
}

/* The name in the cache of @path, or NULL if it is elsewhere. */
static const char *cached_name(const struct gc *g, const char *path)
{
	size_t len = strlen(g->cache.dir);

	if (strncmp(path, g->cache.dir, len) != 0 || path[len] != '/' ||
	    strchr(path + len + 1, '/'))
		return NULL;
	return path + len + 1;
}

static bool begins(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

/* The next extent's path in a description, cut off in place, or NULL. */
static char *next_extent(char **text)
{
	char *path = strstr(*text, " FLAT \""), *end = path ? strchr(path + 7, '"') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return path + 7;
}

/* Need a file, and what it names if it is a description. */
static void need_path(struct gc *g, const char *path)
{
	const char *name = cached_name(g, path);
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	char *p, *extent;
	size_t len;

	if (!name || is_needed(g, name))
		return;
	need(g, name);
	if (!begins(name, "disk-") ||
	    io_read_file(g->cache.fd, name, VMDK_MAX, &text, &len, &err) < 0)
		return;
	p = text;
	while ((extent = next_extent(&p)))
		need_path(g, extent);
}

static bool lives(const struct gc *g, const char *key)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", g->cli->cfg.run_dir, key);
	return access(path, F_OK) == 0;
}

/* Of each name in a directory that ends in @suffix. */
typedef int each_fn(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err);

static int each(struct gc *g, const char *path, const char *suffix, each_fn *fn,
		struct qbx_err *err)
{
	_cleanup_closedir_ DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, errno, "list %s", path);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name), end = strlen(suffix);

		if (e->d_name[0] == '.' || len <= end || strcmp(e->d_name + len - end, suffix) != 0)
			continue;
		if (fn(g, dirfd(d), e->d_name, len - end, err) < 0)
			return -1;
	}
	return 0;
}

static int take_out(struct gc *g, int dirfd, const char *name, struct qbx_err *err)
{
	if (!g->cli->dry_run && unlinkat(dirfd, name, 0) < 0)
		return err_sys(err, errno, "remove %s", name);
	step("removed", name);
	plan_line("%s", name);
	return 0;
}

static int read_lease(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	json_auto_t *lease = NULL;
	char key[NAME_MAX + 1];
	struct stat st;
	json_t *file;
	size_t i;

	snprintf(key, sizeof(key), "%.*s", (int)stem, name);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "lease %s", name);
	if (!lives(g, key) && time(NULL) - st.st_mtim.tv_sec >= LEASE_SECONDS)
		return take_out(g, dirfd, name, err);
	lease = json_read_file(dirfd, name, err);
	if (!lease)
		return err_wrap(err, "leases");
	json_array_foreach (json_object_get(lease, "files"), i, file)
		need_path(g, json_is_string(file) ? json_string_value(file) : "");
	return 0;
}

/* One that was never finished: nobody writes any now, as gc has the lock alone. */
static int sweep_half(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	(void)stem;
	return take_out(g, dirfd, name, err);
}

/* The empty file system of a size that is in use. */
static void need_size(struct gc *g, unsigned mib)
{
	char name[EXT4_NAME_MAX];

	ext4_name(name, mib);
	need(g, name);
}

/* A box's directory, and the document in it if it is that far. */
static int read_box(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	char path[NAME_MAX + 16];
	json_auto_t *doc = NULL;
	json_t *disk;
	size_t i;

	(void)stem;
	snprintf(path, sizeof(path), "%s/box.json", name);
	if (faccessat(dirfd, path, F_OK, 0) < 0)
		return 0;
	doc = json_read_file(dirfd, path, err);
	if (!doc)
		return -1;
	json_array_foreach (json_object_get(json_object_get(doc, "fs"), "disks"), i, disk) {
		const char *file = json_string_value(json_object_get(disk, "path"));

		need_path(g, file ? file : "");
	}
	need_size(g, (unsigned)json_integer_value(json_object_get(doc, "writable_mib")));
	return 0;
}

/* Is the directory that an image was made of still what it was? */
static int read_dir_image(struct gc *g, int dirfd, const char *name, size_t stem,
			  struct qbx_err *err)
{
	char path[NAME_MAX + 32], source[PATH_MAX + 1] = "", digest[SHA256_HEX_LEN + 1];
	_cleanup_close_ int fd = -1;
	struct qbx_err why = { 0 };

	(void)err;
	if (!begins(name, "dir-") || is_needed(g, name))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	if (lgetxattr(path, MKFS_SOURCE_XATTR, source, sizeof(source) - 1) <= 0)
		return 0;
	fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && dirtree_digest(fd, source, digest, &why) == 0 &&
	    stem == 4 + SHA256_HEX_LEN && !strncmp(name + 4, digest, SHA256_HEX_LEN))
		need(g, name);
	return 0;
}

/* A description stays as long as its layers do. */
static int read_disk(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	bool snapshots = false;
	char *p, *extent, path[PATH_MAX];
	size_t len;

	(void)stem;
	if (io_read_file(dirfd, name, VMDK_MAX, &text, &len, err) < 0)
		return -1;
	p = text;
	while ((extent = next_extent(&p))) {
		const char *its = cached_name(g, extent);

		if (its && begins(its, "merge-"))
			continue;
		if (its ? !is_needed(g, its) : access(extent, F_OK) < 0)
			return 0;
		snapshots |= !its || begins(its, "dir-");
	}
	snprintf(path, sizeof(path), "%s/%s", g->cache.dir, name);
	if (snapshots)
		need_path(g, path);
	return 0;
}

/* ---- what is not ---- */

static int sweep(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	(void)stem;
	return is_needed(g, name) ? 0 : take_out(g, dirfd, name, err);
}

/* An empty file system of another size, or of options that are no more. */
static int sweep_empty(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	return begins(name, EXT4_PREFIX) ? sweep(g, dirfd, name, stem, err) : 0;
}

/* What a box that was killed has written. */
static int sweep_written(struct gc *g, int dirfd, const char *name, size_t stem,
			 struct qbx_err *err)
{
	char key[NAME_MAX + 1], lease[NAME_MAX + 32];

	snprintf(key, sizeof(key), "%.*s", (int)stem, name);
	snprintf(lease, sizeof(lease), "leases/%s.json", key);
	if (lives(g, key) || faccessat(g->cache.fd, lease, F_OK, 0) == 0)
		return 0;
	return take_out(g, dirfd, name, err);
}

/* What an export that was killed has left beside its directory. */
static int sweep_export(struct gc *g, int dirfd, const char *name, size_t stem, struct qbx_err *err)
{
	_cleanup_free_ char *path = NULL;

	(void)dirfd;
	(void)stem;
	if (beside_clear(&g->cli->cfg, name, g->cli->dry_run, &path, err) < 0)
		return -1;
	if (path)
		plan_line("%s", path);
	return 0;
}

static int collect(struct gc *g, struct qbx_err *err)
{
	const struct config *cfg = &g->cli->cfg;
	char leases[PATH_MAX], written[PATH_MAX], exports[PATH_MAX];

	snprintf(leases, sizeof(leases), "%s/leases", g->cache.dir);
	snprintf(written, sizeof(written), "%s/writable", cfg->state_dir);
	snprintf(exports, sizeof(exports), "%s/" BESIDE_NOTES, cfg->state_dir);
	need_size(g, cfg->writable_mib);
	if (each(g, leases, ".tmp", sweep_half, err) < 0 ||
	    each(g, leases, ".json", read_lease, err) < 0 ||
	    each(g, cfg->run_dir, "", read_box, err) < 0 ||
	    each(g, g->cache.dir, ".erofs", read_dir_image, err) < 0 ||
	    each(g, g->cache.dir, ".vmdk", read_disk, err) < 0)
		return -1;
	if (each(g, g->cache.dir, ".vmdk", sweep, err) < 0 ||
	    each(g, g->cache.dir, ".erofs", sweep, err) < 0 ||
	    each(g, g->cache.dir, ".img", sweep_empty, err) < 0)
		return -1;
	return each(g, written, ".ext4", sweep_written, err) < 0
		       ? -1
		       : each(g, exports, "", sweep_export, err);
}

static int gc(struct cli *cli, struct qbx_err *err)
{
	json_auto_t *needed = json_object();
	struct gc g = { .cli = cli, .needed = needed };
	int r = cache_open(&g.cache, cli, err), lock = -1;

	if (r == 0 && g.cache.fd >= 0) {
		lock = cli->dry_run ? -1 : lease_lock(&g.cache, true, err);
		r = lock < 0 && !cli->dry_run ? -1 : collect(&g, err);
	}
	cache_close(&g.cache);
	if (lock >= 0)
		close(lock);
	if (fflush(stdout) && r == 0)
		r = err_sys(err, errno, "write standard output");
	return r;
}

const struct cli_verb gc_verb = {
	.name = "gc",
	.help = "remove the images that no box and no snapshot needs, and print their names",
	.run = gc,
};
