/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - what prepare makes disks of, and inspect tells about */
#ifndef QBX_RESOLVE_H
#define QBX_RESOLVE_H

#include "base.h"
#include "fs.h"
#include "writable.h"

struct prep {
	struct rootfs rootfs;
	struct cache cache; /* opened by the caller, or its fd is -1 */
	struct upper upper;
	struct layers layers; /* base first */
	struct phases t;      /* begun by the caller */
	struct writable writable;
	struct base base;
	const struct layer *root; /* the one that says what the root directory is, or NULL */
	json_t *process;	  /* owned; NULL unless an OCI image says what it is */
	bool readonly;
};

/**
 * prep_resolve() - find the layers, have images of them, and say what is written to and the root is
 * Return: 0 with @p filled, or -1 with @err and as much of it as was found: a layer that was not
 * has no "from". @p is for prep_free() anyhow.
 */
int prep_resolve(struct prep *p, const struct config *cfg, const struct box *box,
		 struct qbx_err *err) _must_check_;

void prep_free(struct prep *p);

#endif
