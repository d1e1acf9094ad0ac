/* SPDX-License-Identifier: Apache-2.0 */
/* box.h - the box document, qbx-json(7), and the directory that holds a live one */
#ifndef QBX_BOX_H
#define QBX_BOX_H

#include <jansson.h>

#include "config.h"
#include "err.h"

#define BOX_NAME_MAX 76			      /* longest id or namespace, as containerd has it */
#define BOX_KEY_MAX (2 * BOX_NAME_MAX + 3)    /* "<namespace>--<id>" and its NUL */

/*
 * A parsed document. id and namespace are borrowed from doc. key names the box everywhere on the host
 * (directory, netns, CNI container id): no name may hold two separators in a row, so "--" keeps
 * ("a-b", "c") and ("a", "b-c") apart.
 */
struct box {
	json_t *doc;
	const char *id, *namespace;
	char key[BOX_KEY_MAX];
};

/**
 * box_read() - read one document from a descriptor and check it
 * @what: name of the source for the error text ("standard input")
 * Checks the version, id, namespace (default "default") and the type of every key that
 * qbx-json(7) names. Keys it does not know are kept.
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int box_read(struct box *box, int fd, const char *what, struct qbx_err *err) _must_check_;

/** box_take() - box_read() for a document that is already parsed; takes the reference. */
int box_take(struct box *box, json_t *doc, const char *what, struct qbx_err *err) _must_check_;

/** box_free() - also fit for _cleanup_(box_free). */
void box_free(struct box *box);

/**
 * box_spec() - the OCI specification: "spec" of the document, else config.json of its bundle
 * Return: a new reference, or NULL: with @err if there is one that cannot be read, else without.
 */
json_t *box_spec(const struct box *box, struct qbx_err *err) _must_check_;

/** box_name_ok() - is @name a container id or namespace as containerd allows it? */
int box_name_ok(const char *name);

/**
 * box_dir_open() - open the box's directory below run_dir, making it (0700) if @create
 * Return: directory descriptor that the caller closes, or -1 with @err (err->sys is ENOENT when it
 * is absent and not to be made).
 */
int box_dir_open(const struct config *cfg, const struct box *box, int create,
		 struct qbx_err *err) _must_check_;

/**
 * box_dir_lock() - hold the box's lock until the returned descriptor is closed
 * Blocks. @dirfd is from box_dir_open(). Return: descriptor, or -1 with @err.
 */
int box_dir_lock(int dirfd, struct qbx_err *err) _must_check_;

/** box_dir_remove() - remove the box's directory and all in it. Return: 0 (also when absent). */
int box_dir_remove(const struct config *cfg, const struct box *box,
		   struct qbx_err *err) _must_check_;

#endif
