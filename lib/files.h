/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - single files of the host, sent to the guest and kept up to date
 *
 * Theory of Operation
 *
 * The contents of each volume of the kind "file" go to the guest by Guest/WriteFile before its container
 * is created, and again whenever they have changed: inotify tells of the directory that the file is
 * in (it is replaced by a rename, or is a symlink through one that is, as ..data in Kubernetes' configmaps)
 * and of the file (it is written to). Until a file is complete again, the guest has what it had.
 *
 * Whoever can write to that directory must not make us read what is elsewhere. So the directory is
 * opened once, and the file is looked for beneath it. Where the source was a symlink to somewhere else
 * from the start, as /etc/resolv.conf often is, the directory is the one of what it led to then, and
 * that must be what qbx-fs saw.
 *
 * Contents are never in the document, nor in a log: they may be secret.
 */
#ifndef QBX_FILES_H
#define QBX_FILES_H

#include <jansson.h>

#include "loop.h"
#include "ttrpc.h"

#define FILES_CONTENT_MAX (1u << 20) /* bytes of one */

struct files;

/** files_done_fn - all are there; or not, with the guest's own code and message. */
typedef void files_done_fn(void *arg, enum ttrpc_code code, const char *message);

/**
 * files_new() - find the files among the volumes, and watch them
 * @volumes: "fs.volumes", may be NULL; not needed afterwards
 * @id: of the container; copied
 * Return: for files_free(), or NULL with @err.
 */
struct files *files_new(struct loop *loop, const json_t *volumes, const char *id,
			struct qbx_err *err) _must_check_;

/**
 * files_send() - send all of them, and from then on what changes
 * @guest: borrowed, until files_free(), which may come after its end, but before the loop runs again
 * @done: called once, perhaps before this returns, unless it returns -1
 * Return: 0, or -1 with @err if one cannot be read.
 */
int files_send(struct files *f, struct ttrpc_conn *guest, files_done_fn *done, void *arg,
	       struct qbx_err *err) _must_check_;

/** files_free() - no call to the guest may be pending any more. NULL is allowed. */
void files_free(struct files *f);

#endif
