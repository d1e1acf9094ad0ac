/* SPDX-License-Identifier: Apache-2.0 */
/* tree_write.c - records become a tree: the half that believes nobody */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "io.h"
#include "tree.h"

#define OPAQUE "trusted.overlay.opaque"
#define OURS "trusted.qemubox."

/* A file with several names, and the first one's path below the root. */
struct first {
	uint32_t id;
	char *path;
};

struct level {
	int fd;
	struct timespec mtime; /* set when nothing more is made in it */
	size_t path_len;       /* of the path up to it */
	bool opaque;	       /* nothing below it is to be seen */
};

struct tree_writer {
	int root; /* borrowed */
	struct level levels[TREE_DEPTH_MAX];
	unsigned depth; /* levels in use */
	bool begun;
	char path[PATH_MAX];   /* of the present directory, each part with a slash behind it */
	int target;	       /* the entry that attributes are for, or -1 */
	bool is_file;	       /* and data too */
	struct tree_head head; /* its own */
	uint64_t bytes_left;
	unsigned entries, xattrs;
	struct first *firsts;
	size_t nfirsts;
	tree_below_fn *below; /* NULL: nothing is known of what is below */
	const void *below_arg;
};

struct tree_writer *tree_writer_new(int dirfd, uint64_t bytes_max, struct qbx_err *err)
{
	struct tree_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		err_sys(err, ENOMEM, "write a tree");
		return NULL;
	}
	w->root = dirfd;
	w->target = -1;
	w->bytes_left = bytes_max;
	return w;
}

void tree_writer_below(struct tree_writer *w, tree_below_fn *fn, const void *arg)
{
	w->below = fn;
	w->below_arg = arg;
}

void tree_writer_free(struct tree_writer *w)
{
	if (!w)
		return;
	if (w->target >= 0)
		close(w->target);
	for (unsigned i = 0; i < w->depth; i++)
		close(w->levels[i].fd);
	for (size_t i = 0; i < w->nfirsts; i++)
		free(w->firsts[i].path);
	free(w->firsts);
	free(w);
}

static int bad(struct qbx_err *err, const char *what)
{
	return err_code(err, EX_DATAERR, "what the container wrote cannot be read: %s", what);
}

static int fail(const struct tree_writer *w, const char *name, struct qbx_err *err)
{
	int sys = errno;
	char shown[200];

	snprintf(shown, sizeof(shown), "%.120s%.60s", w->path, name);
	return err_sys(err, sys, "write \"%s\"", err_clean(shown));
}

static struct level *top(struct tree_writer *w)
{
	return &w->levels[w->depth - 1];
}

/*
 * ---- what there is already ----
 *
 * The tree may go on top of another, as overlayfs would show the two: what has the name of an entry goes,
 * but directories that both have become one. What makes a directory opaque empties it. No whiteout is
 * left where nothing is below, as overlayfs would list its name.
 */

enum way { WAY_FREE, WAY_MERGED, WAY_REPLACED };

/* The name is free then, or a directory's that stays. Return: 0 with @way, or -1 with @err. */
static int clear_way(struct tree_writer *w, const char *name, bool dir, enum way *way,
		     struct qbx_err *err)
{
	int fd = top(w)->fd;
	struct stat st;

	*way = WAY_FREE;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(w, name, err);
	*way = dir && S_ISDIR(st.st_mode) ? WAY_MERGED : WAY_REPLACED;
	return *way == WAY_REPLACED ? io_remove_tree(fd, name, err) : 0;
}

static int empty(struct tree_writer *w, int fd, struct qbx_err *err)
{
	_cleanup_close_ int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;

	if (!d)
		return fail(w, "", err);
	(void)take_fd(&again);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    io_remove_tree(fd, e->d_name, err) < 0)
			return -1;
	return 0;
}

/* It gets those of the entry; being opaque stays. */
static int drop_xattrs(struct tree_writer *w, int fd, struct qbx_err *err)
{
	static char names[65536]; /* XATTR_LIST_MAX */
	ssize_t len = flistxattr(fd, names, sizeof(names));

	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : fail(w, "", err);
	for (char *name = names; name < names + len; name += strlen(name) + 1)
		if (strcmp(name, OPAQUE) != 0 && strcmp(name, "security.selinux") != 0 &&
		    fremovexattr(fd, name) < 0)
			return fail(w, name, err);
	return 0;
}

/* The directory that was just made, or entered if it was there: what of the old holds for it? */
static int join(struct tree_writer *w, enum way way, struct qbx_err *err)
{
	struct level *l = top(w);
	char value;

	if (way == WAY_FREE)
		return 0;
	if (way == WAY_MERGED && drop_xattrs(w, l->fd, err) < 0)
		return -1;
	if (way == WAY_REPLACED && fsetxattr(l->fd, OPAQUE, "y", 1, 0) < 0)
		return fail(w, "", err);
	l->opaque |= fgetxattr(l->fd, OPAQUE, &value, 1) == 1 && value == 'y';
	return 0;
}

/* ---- what an entry gets when all of it is known ---- */

/* Nothing more comes for the last entry, unless that is a directory. */
static int finish(struct tree_writer *w, struct qbx_err *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW },
					   { w->head.mtime, w->head.mtime_ns } };
	char self[40];

	if (w->target < 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", w->target);
	if (w->is_file && fchmod(w->target, w->head.mode & 07777) < 0)
		return fail(w, "", err);
	if (w->head.type != TREE_DIR && utimensat(AT_FDCWD, self, times, 0) < 0)
		return fail(w, "", err);
	close(take_fd(&w->target));
	w->is_file = false;
	return 0;
}

static int begin(struct tree_writer *w, const struct tree_record *r, int fd, struct qbx_err *err)
{
	if (fd < 0)
		return fail(w, r->name, err);
	w->target = fd;
	w->head = r->h;
	w->xattrs = 0;
	return 0;
}

static int set_xattr(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	char self[40];

	if (w->target < 0 || ++w->xattrs > TREE_XATTRS_MAX)
		return bad(err, "an attribute of nothing");
	if (!strncmp(r->name, OURS, strlen(OURS))) /* no guest's to say */
		return 0;
	if (w->head.type == TREE_DIR && !strcmp(r->name, OPAQUE)) {
		top(w)->opaque = true;
		if (empty(w, top(w)->fd, err) < 0)
			return -1;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", w->target);
	return setxattr(self, r->name, r->data, r->h.len, 0) < 0 ? fail(w, r->name, err) : 0;
}

static int add_data(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	size_t done = 0;

	if (!w->is_file || r->h.len > w->bytes_left || r->h.size > w->head.size ||
	    r->h.len > w->head.size - r->h.size)
		return bad(err, "more data than there can be");
	w->bytes_left -= r->h.len;
	while (done < r->h.len) {
		ssize_t n = pwrite(w->target, r->data + done, r->h.len - done,
				   (off_t)(r->h.size + done));

		if (n <= 0)
			return fail(w, "", err);
		done += (size_t)n;
	}
	return 0;
}

/* ---- entries ---- */

static int make_root(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	int fd = fcntl(w->root, F_DUPFD_CLOEXEC, 3);

	if (w->begun || r->h.type != TREE_DIR || r->name[0])
		return bad(err, "a tree without a root");
	if (fd < 0)
		return fail(w, "", err);
	w->begun = true;
	w->levels[w->depth++] = (struct level){ .fd = fd, .mtime = { r->h.mtime, r->h.mtime_ns } };
	if (drop_xattrs(w, fd, err) < 0)
		return -1;
	if (fchown(fd, r->h.uid, r->h.gid) < 0 || fchmod(fd, r->h.mode & 07777) < 0)
		return fail(w, "", err);
	return begin(w, r, fcntl(fd, F_DUPFD_CLOEXEC, 3), err);
}

static int make_dir(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	size_t len = strlen(w->path);
	enum way way;
	int fd;

	if (w->depth == TREE_DEPTH_MAX || len + r->h.name_len + 2 > sizeof(w->path))
		return bad(err, "directories that are too deep");
	if (clear_way(w, r->name, true, &way, err) < 0)
		return -1;
	if (way != WAY_MERGED && mkdirat(top(w)->fd, r->name, 0700) < 0)
		return fail(w, r->name, err);
	fd = openat(top(w)->fd, r->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(w, r->name, err);
	w->levels[w->depth] =
		(struct level){ fd, { r->h.mtime, r->h.mtime_ns }, len, top(w)->opaque };
	w->depth++;
	snprintf(w->path + len, sizeof(w->path) - len, "%s/", r->name);
	if (join(w, way, err) < 0)
		return -1;
	if (fchown(fd, r->h.uid, r->h.gid) < 0 || fchmod(fd, r->h.mode & 07777) < 0)
		return fail(w, "", err);
	return begin(w, r, fcntl(fd, F_DUPFD_CLOEXEC, 3), err);
}

static int leave_dir(struct tree_writer *w, struct qbx_err *err)
{
	struct level *l = top(w);
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, l->mtime };

	if (futimens(l->fd, times) < 0)
		return fail(w, "", err);
	close(l->fd);
	w->path[l->path_len] = '\0';
	w->depth--;
	return 0;
}

static int note_first(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	struct first f = { .id = r->h.id };

	if (!f.id)
		return 0;
	if ((w->nfirsts & (w->nfirsts + 1)) == 0) {
		struct first *grown = realloc(w->firsts, (2 * w->nfirsts + 1) * sizeof(*w->firsts));

		if (!grown)
			return err_sys(err, ENOMEM, "note a file");
		w->firsts = grown;
	}
	if (asprintf(&f.path, "%s%s", w->path, r->name) < 0)
		return err_sys(err, ENOMEM, "note a file");
	w->firsts[w->nfirsts++] = f;
	return 0;
}

static int make_file(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	enum way way;
	int fd;

	if (clear_way(w, r->name, false, &way, err) < 0)
		return -1;
	fd = openat(top(w)->fd, r->name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (begin(w, r, fd, err) < 0)
		return -1;
	w->is_file = true;
	if (fchown(fd, r->h.uid, r->h.gid) < 0 || ftruncate(fd, (off_t)r->h.size) < 0)
		return fail(w, r->name, err);
	return note_first(w, r, err);
}

static int make_link(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dir = -1;
	enum way way;
	char *name;

	for (size_t i = 0; i < w->nfirsts && !path; i++)
		if (w->firsts[i].id == r->h.id)
			path = strdup(w->firsts[i].path);
	if (!path)
		return bad(err, "a name of no file");
	if (clear_way(w, r->name, false, &way, err) < 0)
		return -1;
	name = strrchr(path, '/');
	if (name)
		*name++ = '\0';
	dir = (int)syscall(SYS_openat2, w->root, name ? path : ".", &how, sizeof(how));
	if (dir < 0 || linkat(dir, name ? name : path, top(w)->fd, r->name, 0) < 0)
		return fail(w, r->name, err);
	return 0;
}

static bool is_whiteout(const struct tree_head *h)
{
	return S_ISCHR(h->mode) && !h->major && !h->minor;
}

/* What a whiteout of the container's hid may have been what was there, and is gone. */
static bool hides_nothing(const struct tree_writer *w, const char *name, enum way way)
{
	char path[PATH_MAX + EXT4FS_NAME_MAX];

	if (w->levels[w->depth - 1].opaque)
		return true;
	if (way != WAY_REPLACED || !w->below)
		return false;
	snprintf(path, sizeof(path), "%s%s", w->path, name);
	return !w->below(w->below_arg, path);
}

/* Neither is ever opened to be used. */
static int make_other(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	bool link = r->h.type == TREE_SYMLINK;
	int dir = top(w)->fd, rc, fd;
	enum way way;

	if (clear_way(w, r->name, false, &way, err) < 0)
		return -1;
	rc = link ? symlinkat((const char *)r->data, dir, r->name)
		  : mknodat(dir, r->name, r->h.mode, makedev(r->h.major, r->h.minor));
	if (rc < 0 || fchownat(dir, r->name, r->h.uid, r->h.gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!link && fchmodat(dir, r->name, r->h.mode & 07777, 0) < 0))
		return fail(w, r->name, err);
	fd = openat(dir, r->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (begin(w, r, fd, err) < 0)
		return -1;
	if (is_whiteout(&r->h) && hides_nothing(w, r->name, way) && unlinkat(dir, r->name, 0) < 0)
		return fail(w, r->name, err);
	return 0;
}

static int make(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	if (finish(w, err) < 0)
		return -1;
	if (++w->entries > 2 * TREE_ENTRIES_MAX)
		return bad(err, "a tree without an end");
	if (w->depth == 0)
		return make_root(w, r, err);
	if (!r->name[0] && r->h.type != TREE_UP)
		return bad(err, "a second root");
	switch (r->h.type) {
	case TREE_DIR:
		return make_dir(w, r, err);
	case TREE_UP:
		return leave_dir(w, err);
	case TREE_FILE:
		return make_file(w, r, err);
	case TREE_LINK:
		return make_link(w, r, err);
	default:
		return make_other(w, r, err);
	}
}

int tree_write(struct tree_writer *w, const struct tree_record *r, struct qbx_err *err)
{
	int rc;

	switch (r->h.type) {
	case TREE_XATTR:
		rc = set_xattr(w, r, err);
		break;
	case TREE_DATA:
		rc = add_data(w, r, err);
		break;
	case TREE_END:
		if (w->depth > 0 || !w->begun)
			return bad(err, "half a tree");
		return finish(w, err);
	case TREE_FAILED: {
		char why[300];

		snprintf(why, sizeof(why), "%.290s", (const char *)r->data);
		if (r->h.id != EX_TEMPFAIL)
			return err_code(err, EX_DATAERR, "%s", err_clean(why));
		err_code(err, EX_TEMPFAIL, "%s", err_clean(why));
		return err_hint(err,
				"stop the container; if its guest was killed, run it once more");
	}
	default:
		rc = make(w, r, err);
	}
	return rc < 0 ? -1 : 1;
}
