/* SPDX-License-Identifier: Apache-2.0 */
/* base.c - what is in an upper directory already */
#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs.h"
#include "io.h"
#include "log.h"
#include "proc.h"

#define SUFFIX_KEPT ".base"
#define NOTE_XATTR "trusted.qemubox.export" /* of an upper directory: a struct note as text */
#define NOTE_MAX 256u
#define COPY_MS 600000
#define SAYS_MAX 65536u

/* What export says on the directory that it has made. */
struct note {
	char disk[WRITABLE_ID_LEN + 1];	  /* whose content it is: writable_id() */
	char tree[SHA256_HEX_LEN + 1];	  /* dirtree_upper() of the directory */
	char written[SHA256_HEX_LEN + 1]; /* the disk as it was: writable_state() */
	unsigned kept;			  /* 1: what was there before is in a directory beside it */
};

/* ---- the note ---- */

/* Return: 1; 0 if there is none that we have written; or -1 with @err. */
static int read_note(int dirfd, const char *what, struct note *n, struct qbx_err *err)
{
	char text[NOTE_MAX + 1];
	ssize_t len = fgetxattr(dirfd, NOTE_XATTR, text, NOTE_MAX);

	if (len < 0 && (errno == ENODATA || errno == EOPNOTSUPP || errno == ERANGE))
		return 0;
	if (len < 0)
		return err_sys(err, errno, "read what is noted on %s", what);
	text[len] = '\0';
	return sscanf(text, "%32[0-9a-f] %64[0-9a-f] %64[0-9a-f] %1u", n->disk, n->tree, n->written,
		      &n->kept) == 4;
}

/* ---- finding ---- */

static int take_dir(struct base *b, enum base_how how, const char *dir, struct qbx_err *err)
{
	b->how = how;
	b->dir = strdup(dir);
	return b->dir ? 0 : err_sys(err, ENOMEM, "%s", dir);
}

char *base_kept(const struct base *b, struct qbx_err *err)
{
	size_t len = strlen(b->upper);
	char *path;

	while (len > 1 && b->upper[len - 1] == '/')
		len--;
	if (asprintf(&path, "%.*s" SUFFIX_KEPT, (int)len, b->upper) >= 0)
		return path;
	err_sys(err, ENOMEM, "%s", b->upper);
	return NULL;
}

static int find_kept(struct base *b, struct qbx_err *err)
{
	_cleanup_free_ char *kept = base_kept(b, err);

	if (!kept)
		return -1;
	if (access(kept, F_OK) == 0)
		return take_dir(b, BASE_EXPORTED, kept, err);
	err_sys(err, errno, "%s, which is below what the container has written", kept);
	return err_hint(err, "to start with what is in %s, remove %s.ext4", b->upper, b->upper);
}

static int find_changed(struct base *b, struct writable *w, const struct note *n, int disk,
			struct qbx_err *err)
{
	if (writable_state(disk, w->path, w->state, err) < 0)
		return -1;
	w->renew = !strcmp(w->state, n->written);
	if (w->renew)
		return take_dir(b, BASE_CHANGED, b->upper, err);
	err_code(err, EX_DATAERR,
		 "%s: changed by others since it was exported, and the container has written since",
		 b->upper);
	return err_hint(err,
			"to go on with what is there, remove %s; with what the container has, "
			"empty the directory",
			w->path);
}

/* Is the directory what that disk has been exported to? Return: 1, 0, or -1 with @err. */
static int find_export(struct base *b, struct writable *w, int dirfd, struct qbx_err *err)
{
	_cleanup_close_ int disk = -1;
	char id[WRITABLE_ID_LEN + 1];
	struct note n = { .kept = 0 };
	int r = read_note(dirfd, b->upper, &n, err);

	if (r <= 0)
		return r;
	disk = open(w->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (disk < 0)
		return 0; /* it has to be made, or is refused there */
	if (!writable_id(disk, id) || strcmp(id, n.disk) != 0)
		return 0;
	if (b->tree.entries > 0 && strcmp(b->tree.digest, n.tree) != 0)
		return find_changed(b, w, &n, disk, err) < 0 ? -1 : 1;
	b->how = BASE_EXPORTED;
	return n.kept && find_kept(b, err) < 0 ? -1 : 1;
}

/* When a guest last wrote to the disk; if there is none, nothing is newer. */
static struct timespec last_written(const struct writable *w)
{
	const struct timespec never = { .tv_sec = INT64_MAX };
	struct stat st;

	return w->disk && w->kept && lstat(w->path, &st) == 0 ? st.st_mtim : never;
}

int base_find(struct base *b, struct writable *w, bool warn, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	int r;

	memset(b, 0, sizeof(*b));
	b->upper = w->upper;
	if (!b->upper)
		return 0;
	dirfd = open(b->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, errno, "open %s", b->upper);
	b->tree.since = last_written(w);
	if (dirtree_upper(dirfd, b->upper, &b->tree, err) < 0)
		return -1;
	r = w->disk && w->kept ? find_export(b, w, dirfd, err) : 0;
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (b->tree.newer > 0 && warn)
		log_warn("%s: newer than %s, which counts where both have something: %llu entries "
			 "(export it before changing what a container has)",
			 b->upper, w->path, (unsigned long long)b->tree.newer);
	return b->tree.entries ? take_dir(b, BASE_OTHERS, b->upper, err) : 0;
}

int base_same(const struct base *b, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open(b->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirtree now = { .entries = 0 };

	if (dirfd < 0)
		return err_sys(err, errno, "open %s", b->upper);
	if (dirtree_upper(dirfd, b->upper, &now, err) < 0)
		return -1;
	if (strcmp(now.digest, b->tree.digest) == 0)
		return 0;
	err_code(err, EX_TEMPFAIL, "%s: changed while it was read", b->upper);
	return err_hint(err, "stop what writes there");
}

void base_free(struct base *b)
{
	free(take_ptr(b->dir));
}

/* ---- export ---- */

int base_copy(const struct base *b, int dirfd, struct qbx_err *err)
{
	const char *ours = getenv("PATH"), *env[] = { "LC_ALL=C", NULL, NULL };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };
	_cleanup_free_ char *from = NULL, *path = NULL;
	char to[40];
	const char *argv[] = { "cp", "-dR", "--preserve=mode,ownership,timestamps,links,xattr",
			       "--", NULL,  to,
			       NULL };
	const struct proc_spec spec = { .argv = argv, .envp = env, .netns = -1, .die_with_us = 1 };

	if (!b->dir)
		return 0;
	if (asprintf(&from, "%s/.", b->dir) < 0)
		from = NULL;
	if (asprintf(&path, "PATH=%s", ours ? ours : "/usr/bin:/bin") < 0)
		path = NULL;
	if (!from || !path)
		return err_sys(err, ENOMEM, "%s", b->dir);
	snprintf(to, sizeof(to), "/proc/%d/fd/%d/", (int)getpid(), dirfd);
	argv[4] = from;
	env[1] = path;
	if (proc_run(&spec, NULL, 0, SAYS_MAX, COPY_MS, &o, err) < 0)
		return err_wrap(err, "copy %s", b->dir);
	step("copied", b->dir);
	if (o.status == 0)
		return 0;
	if (strstr(o.err, strerror(ENOSPC)))
		return err_sys(err, ENOSPC, "copy %s", b->dir);
	return err_code(err, EX_UNAVAILABLE, "copy %s: %.300s", b->dir, proc_output_says(&o));
}

int base_note(const struct base *b, int dirfd, int disk, const char *disk_path, struct qbx_err *err)
{
	char text[NOTE_MAX];
	struct dirtree tree = { .entries = 0 };
	struct note n = { .kept = b->dir != NULL };
	int len;

	if (base_same(b, err) < 0 || writable_name(disk, disk_path, n.disk, err) < 0 ||
	    writable_state(disk, disk_path, n.written, err) < 0 ||
	    dirtree_upper(dirfd, b->upper, &tree, err) < 0)
		return -1;
	len = snprintf(text, sizeof(text), "%s %s %s %u", n.disk, tree.digest, n.written, n.kept);
	if (fsetxattr(dirfd, NOTE_XATTR, text, (size_t)len, 0) < 0)
		return err_sys(err, errno, "note on %s what it is", b->upper);
	return 0;
}

int base_clear(const struct base *b, struct qbx_err *err)
{
	_cleanup_free_ char *kept = NULL;

	if (b->how == BASE_EXPORTED && b->dir)
		return 0;
	kept = base_kept(b, err);
	return kept ? io_remove_tree(AT_FDCWD, kept, err) : -1;
}

int base_keep(const struct base *b, const char *kept, struct qbx_err *err)
{
	if (renameat2(AT_FDCWD, kept, AT_FDCWD, b->upper, RENAME_EXCHANGE) < 0)
		return err_sys(err, errno, "exchange %s and %s", b->upper, kept);
	step("kept", kept);
	return 0;
}
