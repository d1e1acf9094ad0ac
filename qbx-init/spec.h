/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - the host's config.json, made fit for a guest; touches nothing but memory */
#ifndef QBX_INIT_SPEC_H
#define QBX_INIT_SPEC_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

#define SPEC_CGROUP_MAX 512u

/* What the guest wants of a specification, and what it gets. */
struct spec {
	const char *id;	    /* of the container */
	const char *bundle; /* absolute path of its bundle in the guest */
	const char *rootfs; /* the same of its root file system */
	bool terminal;	    /* what the request said */

	json_t *json;		      /* owned: config.json for crun */
	json_t *sysctls;	      /* owned: {"net.…": "value"} for the guest itself */
	char cgroup[SPEC_CGROUP_MAX]; /* path below /sys/fs/cgroup, with a leading slash */
};

/**
 * spec_adapt() - make a host's OCI runtime specification one for this guest
 * @text, @len: config.json. The rules are in qemubox(7), "What of a specification is
 * honoured". Return: 0, or -1 with @err (EX_DATAERR) that names the part that cannot be honoured.
 */
int spec_adapt(struct spec *s, const char *text, size_t len, struct qbx_err *err) _must_check_;

/**
 * spec_process() - make a host's OCI process, for an exec, one for this guest
 * Return: a new reference, or NULL with @err (EX_DATAERR).
 */
json_t *spec_process(const char *text, size_t len, bool terminal, struct qbx_err *err) _must_check_;

/**
 * spec_adapt_update() - the same of linux.resources alone, which is to replace what is in force
 * Return: new reference, or NULL with @err (EX_DATAERR).
 */
json_t *spec_adapt_update(const char *text, size_t len, struct qbx_err *err) _must_check_;

/** spec_free() - also fit for _cleanup_(spec_free). */
void spec_free(struct spec *s);

#endif
