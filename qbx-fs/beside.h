/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beside.h - where export makes the tree that takes a directory's place
 *
 * Theory of Operation
 *
 * "DIR.new" is beside DIR, so that one can become the other by a rename. It holds "tree", which is to
 * be DIR and then is what DIR was, and "qbx-export", which says whose DIR.new is: without that file it
 * is somebody else's, and is left alone. The file is locked while its export runs.
 *
 * DIR may be anywhere. So the file "exports/NAMESPACE--ID" in state_dir says where DIR.new will be before it
 * is made, and is removed after it: what an export that was killed has left is found by the next
 * export of that box or to that directory, by release and by gc. That file is locked as well.
 */
#ifndef QBX_BESIDE_H
#define QBX_BESIDE_H

#include <limits.h>
#include <stdbool.h>

#include "config.h"
#include "err.h"

#define BESIDE_NOTES "exports" /* below state_dir: a file for each box */

struct beside {
	char note[PATH_MAX]; /* path of the file in exports/ */
	char path[PATH_MAX]; /* of DIR.new, absolute; "": not known */
	int note_fd, parent, dir, mark;
	int tree; /* of "tree", to be filled */
};

#define BESIDE_NONE                                                            \
	{                                                                      \
		.note_fd = -1, .parent = -1, .dir = -1, .mark = -1, .tree = -1 \
	}

/**
 * beside_make() - an empty tree beside @to, which need not exist
 * @key: of the box
 * @b: BESIDE_NONE; for beside_close() anyhow
 * Return: 0, or -1 with @err: EBUSY if another export of the box or to @to runs.
 */
int beside_make(struct beside *b, const struct config *cfg, const char *key, const char *to,
		struct qbx_err *err) _must_check_;

/** beside_swap() - the tree is @to from now on, and the other way round if there is a @to. */
int beside_swap(struct beside *b, const char *to, struct qbx_err *err) _must_check_;

/** beside_remove() - remove DIR.new. Return: 0, or -1 with @err, and then gc can try again. */
int beside_remove(struct beside *b, struct qbx_err *err) _must_check_;

/** beside_drop() - the same where something else has failed already. */
void beside_drop(struct beside *b);

void beside_close(struct beside *b);

/**
 * beside_clear() - remove what an export of the box that was killed has left
 * @path: set to that directory, which the caller frees, or NULL: there is none, or an export runs
 * Return: 0, or -1 with @err.
 */
int beside_clear(const struct config *cfg, const char *key, bool dry_run, char **path,
		 struct qbx_err *err) _must_check_;

#endif
