/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - what QEMU tells the shim of its VM, over a socket pair that nobody else can reach */
#ifndef SHIM_MONITOR_H
#define SHIM_MONITOR_H

#include <stdbool.h>

#include "loop.h"

struct monitor;

/** monitor_fn - the VM was paused, or goes on; or (@lost) nothing more will be heard of it. */
typedef void monitor_fn(void *arg, bool paused, bool lost);

/**
 * monitor_new() - a monitor for a QEMU that is to be started
 * @theirs: set to the other end, which the caller hands to QEMU and closes
 * Return: for monitor_free(), or NULL with @err.
 */
struct monitor *monitor_new(struct loop *loop, int *theirs, monitor_fn *fn, void *arg,
			    struct qbx_err *err) _must_check_;

void monitor_free(struct monitor *m); /* NULL is allowed */

/**
 * monitor_shutdown() - the reason that QEMU gave for the end of the VM, or "" so far
 * What has arrived but was not read yet counts.
 */
const char *monitor_shutdown(struct monitor *m);

#endif
