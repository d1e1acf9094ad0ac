/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.h - a VM that follows the load of its guest
 *
 * Theory of Operation
 *
 * A timer asks the guest for its statistics, the policy says what size the VM should have, and
 * "qbx-vm resize" gives it that size: one thing at a time, and first what was asked for. A VM that has its limits from the start
 * is left in peace: no timer runs. A resize that fails is told in the log once, and tried again
 * after a while that doubles.
 */
#ifndef SHIM_SCALE_H
#define SHIM_SCALE_H

#include "policy.h"
#include "sandbox.h"

#define SCALE_RESIZE_MS 20000u /* for processors and memory to come or go */

struct scale;

/** scale_new() - begin, for a sandbox that is UP. Return: for scale_free(), or NULL with @err. */
struct scale *scale_new(struct sandbox *s, struct qbx_err *err) _must_check_;

/** scale_free() - forget it, after the sandbox's control connection; NULL is allowed. */
void scale_free(struct scale *sc);

/** scale_done_fn - the VM has the size, or @err says why not. */
typedef void scale_done_fn(void *arg, const struct qbx_err *err);

/**
 * scale_ask() - have a VM as large as a specification asks, if it is smaller, and keep it so
 * @doc: the document, with that "spec"; taken
 * @done: called once, from the loop or by scale_free()
 * Return: 0, or -1 with @err and @doc released.
 */
int scale_ask(struct scale *sc, json_t *doc, scale_done_fn *done, void *arg,
	      struct qbx_err *err) _must_check_;

/** scale_resized() - the resize that sandbox_resize() began has ended. */
void scale_resized(struct scale *sc, const struct qbx_err *err);

#endif
