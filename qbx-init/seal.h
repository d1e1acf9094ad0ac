/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - the file system that a container writes to stands still: FIFREEZE
 *
 * All that was written is on the disk then, in a file system that needs no journal: the host can
 * read it. Who writes to it waits, uninterruptibly, even where that is only the end of a process;
 * so it must go on before any process does, before any is killed, and before anything is
 * unmounted.
 */
#ifndef QBX_INIT_SEAL_H
#define QBX_INIT_SEAL_H

#include "container.h"

/** seal_note() - remember which of the mounts of a Create is on a disk that is written to */
int seal_note(struct container *c, Qemubox__Task__Mount *const *mounts, size_t n,
	      struct qbx_err *err) _must_check_;

/** seal_fn - it stands still, or @err says why not. */
typedef void seal_fn(void *arg, const struct qbx_err *err);

/**
 * seal_begin() - have it stand still; writing back what is in memory takes as long as the disk does
 * @done: called once, from the loop; or by seal_end(), if that comes first, with ECANCELED
 * Return: 0 and @done follows; 1 if it writes to no disk; or -1 with @err.
 */
int seal_begin(struct container *c, seal_fn *done, void *arg, struct qbx_err *err) _must_check_;

/** seal_end() - have it go on, at once, or as soon as that is possible; nothing if it does. */
void seal_end(struct container *c);

#endif
