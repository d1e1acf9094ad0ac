/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - what is in an upper directory already, and whether the container is to see it
 *
 * Theory of Operation
 *
 * Others write to an upper directory too: a container that ran under another runtime of the same
 * snapshot, a copy into one that is stopped, whoever mounts the snapshot. All of that is one more
 * layer, above the others and below the disk, as an image of the directory that is made, shared and
 * collected as that of any other.
 *
 * Export puts there what the disk has, which must not come back as a layer: of a file that the
 * container removes later the disk may keep no trace, as nothing below had it. So export says on
 * the directory which disk it had, by a number that the disk's file got when it was made, what the
 * directory was then, and what the disk was. While the directory is that, it is no layer. What it
 * held before, if anything, is still below the disk: export keeps it as "<upperdir>.base".
 *
 * Where others have changed an exported directory, and the container has not written since, all
 * that the disk had is there: the directory is the layer, and the disk is made anew. Where both
 * have, nobody can know which of the two is to count, and that is refused.
 */
#ifndef QBX_BASE_H
#define QBX_BASE_H

#include <stdbool.h>

#include "err.h"
#include "fs.h"
#include "writable.h"

struct base {
	const char
		*upper; /* the upper directory on the host, borrowed from the writable, or NULL */
	char *dir; /* what is a layer: that or what export has kept of it; owned; NULL: nothing */
	enum base_how {
		BASE_EMPTY,  /* nothing is there */
		BASE_OTHERS, /* what others have put there: a layer */
		BASE_EXPORTED, /* what the disk has, and nobody has changed it: "dir" is from before */
		BASE_CHANGED /* and others have: a layer, and the disk is to be made anew */
	} how;
	struct dirtree tree; /* what is there; newer than what the disk has */
};

/**
 * base_find() - look at the upper directory of @w, which must outlive @b
 * @warn: of entries that are newer than the disk
 * Return: 0 with @b filled, for base_free(), and @w->renew and state; or -1 with @err.
 */
int base_find(struct base *b, struct writable *w, bool warn, struct qbx_err *err) _must_check_;
void base_free(struct base *b);

/** base_same() - is the upper directory what base_find() saw? Return: 0, or -1 with @err. */
int base_same(const struct base *b, struct qbx_err *err) _must_check_;

/** base_copy() - a copy of the layer, if there is one, in the empty directory @dirfd. */
int base_copy(const struct base *b, int dirfd, struct qbx_err *err) _must_check_;

/**
 * base_note() - say on @dirfd, about to become the upper directory, that it is what @w has
 * @disk: of its file. What others have done to the upper directory since base_find() is refused.
 */
int base_note(const struct base *b, int dirfd, int disk, const char *disk_path,
	      struct qbx_err *err) _must_check_;

/** base_kept() - where what others have put there is kept below the disk; the caller frees it. */
char *base_kept(const struct base *b, struct qbx_err *err) _must_check_;

/** base_keep() - the tree at @kept, which is base_kept()'s, becomes the upper directory, and that it. */
int base_keep(const struct base *b, const char *kept, struct qbx_err *err) _must_check_;

/** base_clear() - before any of that: what was kept earlier and is needed no more goes. */
int base_clear(const struct base *b, struct qbx_err *err) _must_check_;

#endif
