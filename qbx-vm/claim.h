/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.h - numbers of which each box holds one: user ids, vsock CIDs
 *
 * A claim is a symlink run_dir/.claims/KIND/NUMBER to the box's key, which is no path that leads
 * anywhere; no box's name begins with a dot. All is done under the lock of the directory KIND, which
 * is gone again when nobody holds a number. The claim of a box whose directory is gone is nobody's.
 */
#ifndef QBX_VM_CLAIM_H
#define QBX_VM_CLAIM_H

#include "config.h"
#include "err.h"

struct claim_range {
	const char *kind;
	unsigned first, count;
};

/**
 * claim_use_fn - take a number that no box holds into use
 * Return: 0, or -1 with errno; EADDRINUSE if somebody else has it, and the next is tried.
 */
typedef int claim_use_fn(void *arg, unsigned number);

/**
 * claim_take() - claim the first free number of a range for a box
 * The box's directory must be there, and locked by the caller. What the box has held of that kind is
 * given back first: whoever held it is known to be gone.
 * @use: may be NULL
 * Return: 0, or -1 with @err (EX_TEMPFAIL when none is free).
 */
int claim_take(const struct config *cfg, const struct claim_range *range, const char *key,
	       claim_use_fn *use, void *arg, unsigned *number, struct qbx_err *err) _must_check_;

/** claim_release() - give back what the box holds of that kind. Return: 0 (also if nothing). */
int claim_release(const struct config *cfg, const char *kind, const char *key,
		  struct qbx_err *err) _must_check_;

#endif
