/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiet.h - a container's disk, while nobody writes to it
 *
 * Either no VM has it, and none gets it as long as it is held here; or the VM that has it belongs
 * to a box whose container is paused, with the file system frozen: lib/still.h. Then it is not
 * held, and whoever has read it asks whether all of that was from one moment.
 */
#ifndef QBX_QUIET_H
#define QBX_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "writable.h"

struct quiet {
	const char *path; /* the writable's */
	int disk;	  /* to be read */
	int lock;	  /* of an open file of its own; keeps VMs and other exports away */
	int still;	  /* -1 if no VM has it */
	uint64_t size;	  /* in bytes */
};

/**
 * quiet_open() - open the disk's file, if nobody writes to it
 * Return: 0, or -1 with @err: EX_TEMPFAIL if somebody does, or another export of it runs. @q is for
 * quiet_close() anyhow.
 */
int quiet_open(struct quiet *q, const struct writable *w, const struct config *cfg,
	       const struct box *box, struct qbx_err *err) _must_check_;

/** quiet_lasts() - has nobody written to it since? Return: 0, or -1 with @err (EX_TEMPFAIL). */
int quiet_lasts(const struct quiet *q, struct qbx_err *err) _must_check_;

void quiet_close(struct quiet *q);

#endif
