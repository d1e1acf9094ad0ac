/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - decode the JSON of an OCI image
 *
 * Source of the format: the OCI Image Format Specification 1.1 (descriptor, image-index, manifest,
 * config). Everything here comes from strangers.
 */
#ifndef QBX_IMAGE_H
#define QBX_IMAGE_H

#include <jansson.h>
#include <stdint.h>

#include "err.h"
#include "sha256.h"

/* A reference to a blob. */
struct image_ref {
	char digest[SHA256_HEX_LEN + 1]; /* SHA-256, without the "sha256:" */
	uint64_t size;
	int is_index; /* of images, not one image */
};

/** image_ref_decode() - a descriptor. Return: 0, or -1 with @err (EX_DATAERR). */
int image_ref_decode(const json_t *j, struct image_ref *ref, struct qbx_err *err) _must_check_;

/** image_arch() - this machine's architecture, as images name it: "amd64". */
const char *image_arch(void);

/**
 * image_pick() - the one image for this machine in an index
 * An entry without a platform fits if it is the only entry.
 * Return: 0, or -1 with @err.
 */
int image_pick(const json_t *index, struct image_ref *ref, struct qbx_err *err) _must_check_;

/**
 * image_layers() - the layers array of a manifest, checked to be one of at most @max descriptors
 * Return: borrowed, or NULL with @err.
 */
const json_t *image_layers(const json_t *manifest, size_t max, struct qbx_err *err) _must_check_;

/**
 * image_process() - what a configuration says of the process: args, env, cwd
 * @user: set to its user, borrowed from @config: "", a name or a number, perhaps with ":GROUP"
 * Return: new reference, or NULL with @err: wrong types, another machine's image, strings too long.
 */
json_t *image_process(const json_t *config, const char **user, struct qbx_err *err) _must_check_;

#endif
