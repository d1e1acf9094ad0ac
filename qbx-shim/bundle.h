/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h - what containerd left in the bundle directory */
#ifndef SHIM_BUNDLE_H
#define SHIM_BUNDLE_H

#include <stddef.h>

#include "err.h"

#define BUNDLE_SPEC_MAX (3u << 20) /* bytes of config.json: it must fit a message to the guest */

/**
 * bundle_read_spec() - read <bundle>/config.json, and refuse what a VM cannot give
 * That is the host's network (no network namespace in the list), for now a network namespace made
 * by somebody else (one with a path), and a terminal. Source of the format: the OCI runtime
 * specification, config.md and config-linux.md.
 * @text: set to malloc'ed text that the caller frees
 * Return: 0, or -1 with @err.
 */
int bundle_read_spec(const char *bundle, char **text, size_t *len,
		     struct qbx_err *err) _must_check_;

#endif
