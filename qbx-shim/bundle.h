/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h - what containerd left in the bundle directory */
#ifndef SHIM_BUNDLE_H
#define SHIM_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define BUNDLE_SPEC_MAX (3u << 20) /* bytes of config.json: it must fit a message to the guest */

/* What a specification says of the network; owned by the JSON that bundle_network() was given. */
struct bundle_network {
	const char *netns; /* path of the namespace to join, or NULL: one of its own */
	bool none;	   /* the annotation io.qemubox.net says so */
};

/**
 * bundle_read_spec() - read <bundle>/config.json
 * Source of the format: the OCI runtime specification, config.md and config-linux.md.
 * @text: set to malloc'ed text that the caller frees
 * Return: the same as JSON, a new reference, or NULL with @err.
 */
json_t *bundle_read_spec(const char *bundle, char **text, size_t *len,
			 struct qbx_err *err) _must_check_;

/**
 * bundle_network() - what the box's network is to be
 * Return: 0, or -1 with @err: the host's (no network namespace in the list), which a VM cannot have, or
 * what does not go together.
 */
int bundle_network(const json_t *spec, struct bundle_network *net,
		   struct qbx_err *err) _must_check_;

/**
 * bundle_writable() - put what the specification says of what the container writes into a document
 * The annotations io.qemubox.fs.writable, .writable-mib and .commit become its keys. A root that is read-only
 * needs no disk: all that is written there is what the container's own mounts need to stand on.
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int bundle_writable(const json_t *spec, json_t *doc, struct qbx_err *err) _must_check_;

#endif
