/* SPDX-License-Identifier: Apache-2.0 */
/* bootstrap.h - what containerd says on the standard input of "start" */
#ifndef SHIM_BOOTSTRAP_H
#define SHIM_BOOTSTRAP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define BOOTSTRAP_MAX (1u << 20) /* bytes accepted */

struct bootstrap {
	bool params;		   /* it was a BootstrapParams: answer in JSON */
	char socket_dir[PATH_MAX]; /* where to put the socket, or "" */
};

/**
 * bootstrap_decode() - tell BootstrapParams (containerd 2.3) from an Any of options, or nothing
 * The two parse as each other: it is BootstrapParams if it names our id and namespace. Options are
 * left alone, as there are none that we know.
 * Source of the format: proto/shim.proto.
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int bootstrap_decode(struct bootstrap *b, const uint8_t *data, size_t len, const char *id,
		     const char *namespace, struct qbx_err *err) _must_check_;

#endif
