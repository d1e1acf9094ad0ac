/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - what containerd's snapshotters write in place of a path they do not know yet
 *
 * Source of the format: containerd's docs/mounts.md and core/mount/manager/format.go. That is Go's
 * text/template with four functions of its own; what snapshotters write is one call of one of two, and
 * nothing else is understood here.
 */
#ifndef QBX_TEMPLATE_H
#define QBX_TEMPLATE_H

#include "err.h"

#define TEMPLATE_INDEX_MAX 999u

/* Mounts of a list, by index from 0: one, or several in that order, which may go down. */
struct template
{
	unsigned first, last;
};

/**
 * template_take() - "{{ mount N }}" or "{{ overlay FIRST LAST }}" at the beginning of a text
 * @text: moved behind it
 * Return: 1 with @t filled; 0 if there is none; -1 with @err (EX_DATAERR) if it is another one.
 */
int template_take(const char **text, struct template *t, struct qbx_err *err) _must_check_;

/* A directory that is to be made: "X-containerd.mkdir.path=PATH[:MODE[:UID:GID]]". */
struct template_mkdir {
	const char *path; /* in the option's text, up to path_len */
	size_t path_len;
	unsigned mode, uid, gid;
};

/**
 * template_mkdir() - decode such an option
 * Without a mode it is 0700, as there; without owners they are 0.
 * Return: 1 with @m filled; 0 if @option is none; -1 with @err (EX_DATAERR).
 */
int template_mkdir(const char *option, struct template_mkdir *m, struct qbx_err *err) _must_check_;

#endif
