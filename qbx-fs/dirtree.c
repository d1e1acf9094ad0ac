/* SPDX-License-Identifier: Apache-2.0 */
/* dirtree.c - does a directory still hold what it held? */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs.h"

#define DEPTH_MAX 256 /* directories below one another; each holds a descriptor */

struct walk {
	SHA2_CTX sha;
	const char *what;
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

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
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
	add_entry(&w->sha, name, &sx);
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

int dirtree_digest(int dirfd, const char *what, char hex[SHA256_HEX_LEN + 1], struct qbx_err *err)
{
	struct walk w = { .what = what, .err = err };
	struct statx sx;

	if (statx(dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) < 0)
		return err_sys(err, errno, "stat %s", what);
	SHA256Init(&w.sha);
	add_entry(&w.sha, ".", &sx);
	if (walk_dir(&w, dirfd, 0) < 0)
		return -1;
	SHA256End(&w.sha, hex);
	return 0;
}
