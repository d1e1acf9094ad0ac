/* SPDX-License-Identifier: Apache-2.0 */
/* beside.c - where export makes the tree that takes a directory's place */
#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "io.h"
#include "log.h"
#include "step.h"

#define SUFFIX ".new"
#define MARK "qbx-export"
#define TREE "tree"

static const char *name_of(const struct beside *b)
{
	return strrchr(b->path, '/') + 1;
}

/* ---- the note ---- */

static int busy(const char *path, struct qbx_err *err)
{
	err_sys(err, EBUSY, "%s", path);
	return err_hint(err, "another export runs");
}

/* Return: 1, 0 if another has it or, without O_CREAT, there is none; -1 with @err. */
static int take_note(struct beside *b, const struct config *cfg, const char *key, int flags,
		     struct qbx_err *err)
{
	if (snprintf(b->note, PATH_MAX, "%s/" BESIDE_NOTES "/%s", cfg->state_dir, key) >= PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "note of an export");
	b->note_fd = io_open_locked(AT_FDCWD, b->note, flags, LOCK_EX | LOCK_NB);
	if (b->note_fd >= 0)
		return 1;
	return errno == EWOULDBLOCK || (errno == ENOENT && !flags)
		       ? 0
		       : err_sys(err, errno, "lock %s", b->note);
}

/* A path and a NUL. One that is not whole was written before there was a directory. */
static int read_note(struct beside *b, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (io_read_all(b->note_fd, PATH_MAX, b->note, &text, &len, err) < 0)
		return -1;
	if (len > 1 && text[0] == '/' && strlen(text) == len - 1)
		memcpy(b->path, text, len);
	return 0;
}

static int write_note(const struct beside *b, struct qbx_err *err)
{
	if (ftruncate(b->note_fd, 0) < 0 || lseek(b->note_fd, 0, SEEK_SET) < 0 ||
	    io_write_all(b->note_fd, b->path, strlen(b->path) + 1) < 0)
		return err_sys(err, errno, "write %s", b->note);
	step("noted", b->path);
	return 0;
}

static int drop_note(const struct beside *b, struct qbx_err *err)
{
	if (unlink(b->note) < 0)
		return err_sys(err, errno, "remove %s", b->note);
	step("note removed", b->note);
	return 0;
}

/* ---- the directory ---- */

/* What DIR.new is in; all else goes by this descriptor. */
static int open_parent(struct beside *b, struct qbx_err *err)
{
	_cleanup_free_ char *parent = strndup(b->path, (size_t)(name_of(b) - b->path));

	b->parent = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return b->parent < 0 ? err_sys(err, errno, "open the directory of %s", b->path) : 0;
}

/* The tree first: as long as anything is in the directory, the mark is. */
static int remove_dir(const struct beside *b, struct qbx_err *err)
{
	if (io_remove_tree(b->dir, TREE, err) < 0)
		return err_wrap(err, "%s", b->path);
	if (unlinkat(b->dir, MARK, 0) == 0)
		step("unmarked", b->path);
	else if (errno != ENOENT)
		return err_sys(err, errno, "remove %s/" MARK, b->path);
	if (unlinkat(b->parent, name_of(b), AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", b->path);
	step("removed", b->path);
	return 0;
}

/*
 * Remove a DIR.new whose export has ended; one that had not got as far as its mark is empty.
 * Return: 1, 0 if there is none of an export's, or -1 with @err.
 */
static int clear_dir(struct beside *b, bool dry_run, struct qbx_err *err)
{
	b->dir = openat(b->parent, name_of(b), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	b->mark = b->dir < 0 ? -1 : io_open_locked(b->dir, MARK, 0, LOCK_EX | LOCK_NB);
	if (b->mark >= 0)
		return dry_run || remove_dir(b, err) == 0 ? 1 : -1;
	if (b->dir >= 0 && errno == EWOULDBLOCK)
		return busy(b->path, err);
	return b->dir >= 0 && !dry_run && unlinkat(b->parent, name_of(b), AT_REMOVEDIR) == 0;
}

static void close_dir(struct beside *b)
{
	int *const fds[] = { &b->tree, &b->mark, &b->dir, &b->parent };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(take_fd(fds[i]));
}

/* What the note that was found says has been left. Return: as clear_dir(). */
static int clear_noted(struct beside *b, bool dry_run, struct qbx_err *err)
{
	int found;

	if (read_note(b, err) < 0)
		return -1;
	if (!b->path[0])
		return 0;
	found = open_parent(b, err);
	if (found < 0 && (err->sys == ENOENT || err->sys == ENOTDIR)) {
		err_forget(err); /* it has gone with what it was in */
		return 0;
	}
	found = found < 0 ? -1 : clear_dir(b, dry_run, err);
	if (found < 0 && err->sys == EBUSY) {
		err_forget(err); /* of another box, whose own note there is */
		return 0;
	}
	return found;
}

/* DIR.new's path, whatever leads there. */
static int choose_path(struct beside *b, const char *to, struct qbx_err *err)
{
	const char *slash = strrchr(to, '/'), *name = slash ? slash + 1 : to;
	_cleanup_free_ char *dir = slash ? strndup(to, (size_t)(name - to)) : strdup(".");
	_cleanup_free_ char *real = dir ? realpath(dir, NULL) : NULL;

	if (!real)
		return err_sys(err, errno, "directory of %s", to);
	if (snprintf(b->path, PATH_MAX, "%s/%s" SUFFIX, strcmp(real, "/") ? real : "", name) >=
	    PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "%s" SUFFIX, to);
	return 0;
}

static int make_dir(struct beside *b, struct qbx_err *err)
{
	if (mkdirat(b->parent, name_of(b), 0700) < 0) {
		err_sys(err, errno, "create directory %s", b->path);
		return err->sys == EEXIST ? err_hint(err, "no export has made it: move it away")
					  : -1;
	}
	step("directory", b->path);
	b->dir = openat(b->parent, name_of(b), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	b->mark =
		b->dir < 0 ? -1 : io_open_locked(b->dir, MARK, O_CREAT | O_EXCL, LOCK_EX | LOCK_NB);
	if (b->mark < 0) {
		err_sys(err, errno, "mark %s", b->path);
		unlinkat(b->parent, name_of(b), AT_REMOVEDIR);
		return -1;
	}
	step("marked", b->path);
	if (mkdirat(b->dir, TREE, 0700) < 0)
		return err_sys(err, errno, "create directory %s/" TREE, b->path);
	b->tree = openat(b->dir, TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return b->tree < 0 ? err_sys(err, errno, "open %s/" TREE, b->path) : 0;
}

/* With the note in our hands. */
static int make(struct beside *b, const char *to, struct qbx_err *err)
{
	if (clear_noted(b, false, err) < 0)
		return -1;
	close_dir(b);
	if (choose_path(b, to, err) < 0 || open_parent(b, err) < 0 || write_note(b, err) < 0 ||
	    clear_dir(b, false, err) < 0)
		return -1;
	close_dir(b);
	return open_parent(b, err) < 0 ? -1 : make_dir(b, err);
}

int beside_make(struct beside *b, const struct config *cfg, const char *key, const char *to,
		struct qbx_err *err)
{
	char notes[PATH_MAX];
	int got;

	snprintf(notes, sizeof(notes), "%s/" BESIDE_NOTES, cfg->state_dir);
	if (io_mkdirs(cfg->state_dir, 0755, err) < 0 || io_mkdirs(notes, 0700, err) < 0)
		return -1;
	got = take_note(b, cfg, key, O_CREAT, err);
	if (got <= 0)
		return got < 0 ? -1 : busy(b->note, err);
	if (make(b, to, err) == 0)
		return 0;
	beside_drop(b);
	return -1;
}

int beside_swap(struct beside *b, const char *to, struct qbx_err *err)
{
	if (renameat2(b->dir, TREE, AT_FDCWD, to, RENAME_EXCHANGE) == 0) {
		step("exchanged", to);
		return 0;
	}
	if (errno != ENOENT || renameat(b->dir, TREE, AT_FDCWD, to) < 0)
		return err_sys(err, errno, "replace %s", to);
	step("renamed", to);
	return 0;
}

int beside_remove(struct beside *b, struct qbx_err *err)
{
	return b->mark >= 0 && remove_dir(b, err) < 0 ? -1 : drop_note(b, err);
}

void beside_drop(struct beside *b)
{
	struct qbx_err left = { 0 };

	if (beside_remove(b, &left) < 0)
		log_debug("%s", left.msg); /* gc can try again */
}

void beside_close(struct beside *b)
{
	close_dir(b);
	if (b->note_fd >= 0)
		close(take_fd(&b->note_fd));
}

int beside_clear(const struct config *cfg, const char *key, bool dry_run, char **path,
		 struct qbx_err *err)
{
	_cleanup_(beside_close) struct beside b = BESIDE_NONE;
	int got = take_note(&b, cfg, key, 0, err), found;

	*path = NULL;
	if (got <= 0)
		return got;
	found = clear_noted(&b, dry_run, err);
	if (found < 0 || (!dry_run && drop_note(&b, err) < 0))
		return -1;
	*path = found ? strdup(b.path) : NULL;
	return found && !*path ? err_sys(err, ENOMEM, "%s", b.path) : 0;
}
