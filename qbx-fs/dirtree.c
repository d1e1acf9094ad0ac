/* SPDX-License-Identifier: Apache-2.0 */
/* dirtree.c - does a directory still hold what it held? */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs.h"

#define DEPTH_MAX 256 /* directories below one another; each holds a descriptor */

struct walk {
	SHA2_CTX sha;
	const char *what;
	struct dirtree *upper; /* NULL: it is none */
	struct qbx_err *err;
};

/* What tells one state of an entry from another. */
static void add_entry(SHA2_CTX *sha, const char *name, const struct statx *sx)
{
	const uint64_t v[] = { sx->stx_ino,
			       sx->stx_mode,
			       sx->stx_uid,
			       sx->stx_gid,
			       sx->stx_size,
			       sx->stx_nlink,
			       sx->stx_dev_major,
			       sx->stx_dev_minor,
			       sx->stx_rdev_major,
			       sx->stx_rdev_minor,
			       (uint64_t)sx->stx_mtime.tv_sec,
			       sx->stx_mtime.tv_nsec,
			       (uint64_t)sx->stx_ctime.tv_sec,
			       sx->stx_ctime.tv_nsec };

	digest_add(sha, name, strlen(name) + 1);
	digest_add(sha, v, sizeof(v));
}

static bool is_newer(const struct statx_timestamp *t, const struct timespec *since)
{
	return t->tv_sec > since->tv_sec ||
	       (t->tv_sec == since->tv_sec && t->tv_nsec > (uint64_t)since->tv_nsec);
}

/* overlayfs notes things on an upper directory when it is only looked at, and renaming changes it. */
static void add_sum(struct walk *w, const char *name, struct statx *sx)
{
	if (w->upper && S_ISDIR(sx->stx_mode))
		memset(&sx->stx_ctime, 0, sizeof(sx->stx_ctime));
	if (w->upper && strcmp(name, ".") != 0) {
		w->upper->entries++;
		w->upper->newer += is_newer(&sx->stx_ctime, &w->upper->since);
	}
	add_entry(&w->sha, name, sx);
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* overlayfs may put the name of the place where the rest is into an attribute: that is not followed. */
static int check_whole(const struct walk *w, int dirfd, const char *name, mode_t mode)
{
	static const char *const elsewhere[] = { "trusted.overlay.redirect",
						 "trusted.overlay.metacopy" };
	char path[NAME_MAX + 40];

	if (!S_ISDIR(mode) && !S_ISREG(mode))
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		if (lgetxattr(path, elsewhere[i], NULL, 0) < 0)
			continue;
		err_code(w->err, EX_DATAERR, "%s: \"%.200s\" has its content elsewhere: %s",
			 w->what, name, elsewhere[i]);
		return err_hint(w->err,
				"overlayfs wrote it with redirect_dir or metacopy: where the "
				"snapshot is mounted, copy it and remove it");
	}
	return 0;
}

static int walk_dir(struct walk *w, int fd, int depth);

static int walk_entry(struct walk *w, int dirfd, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	struct statx sx;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &sx) < 0)
		return err_sys(w->err, errno, "%s: stat %s", w->what, name);
	if (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
		err_code(w->err, EX_DATAERR, "%s: something is mounted below, on %s", w->what,
			 name);
		return err_hint(w->err, "unmount it, or use a copy");
	}
	if (w->upper && check_whole(w, dirfd, name, sx.stx_mode) < 0)
		return -1;
	add_sum(w, name, &sx);
	if (!S_ISDIR(sx.stx_mode))
		return 0;
	if (depth >= DEPTH_MAX)
		return err_code(w->err, EX_DATAERR, "%s: more than %d directories deep", w->what,
				DEPTH_MAX);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(w->err, errno, "%s: open %s", w->what, name);
	return walk_dir(w, fd, depth + 1);
}

static int walk_dir(struct walk *w, int fd, int depth)
{
	struct dirent **list;
	int n = scandirat(fd, ".", &list, not_dots, by_name), r = 0;

	if (n < 0)
		return err_sys(w->err, errno, "list %s", w->what);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = walk_entry(w, fd, list[i]->d_name, depth);
		free(list[i]);
	}
	free(list);
	digest_add(&w->sha, "", 1); /* no name is empty: the end of this directory */
	return r;
}

static int digest(struct walk *w, int dirfd, char hex[SHA256_HEX_LEN + 1])
{
	struct statx sx;

	if (statx(dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) < 0)
		return err_sys(w->err, errno, "stat %s", w->what);
	SHA256Init(&w->sha);
	add_sum(w, ".", &sx);
	if (walk_dir(w, dirfd, 0) < 0)
		return -1;
	SHA256End(&w->sha, hex);
	return 0;
}

int dirtree_digest(int dirfd, const char *what, char hex[SHA256_HEX_LEN + 1], struct qbx_err *err)
{
	struct walk w = { .what = what, .err = err };

	return digest(&w, dirfd, hex);
}

int dirtree_upper(int dirfd, const char *what, struct dirtree *t, struct qbx_err *err)
{
	struct walk w = { .what = what, .upper = t, .err = err };

	t->entries = t->newer = 0;
	return digest(&w, dirfd, t->digest);
}
