/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.h - what QEMU tells the shim of its VM, over a socket pair that nobody else can reach */
#ifndef SHIM_MONITOR_H
#define SHIM_MONITOR_H

#include <stdbool.h>

#include "loop.h"
#include "qmp.h"

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
 * monitor_command() - "stop" or "cont"; a literal
 * @done: called once, from the loop, unless monitor_free() comes first; may be NULL
 * Return: 0, or -1 with @err and @done not called.
 */
int monitor_command(struct monitor *m, const char *command, qmp_done_fn *done, void *arg,
		    struct qbx_err *err) _must_check_;

/**
 * monitor_shutdown() - the reason that QEMU gave for the end of the VM, or "" so far
 * What has arrived but was not read yet counts.
 */
const char *monitor_shutdown(struct monitor *m);

#endif
