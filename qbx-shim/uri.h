/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uri.h - what a client may name as a process's stdio
 *
 * Source of the format: containerd's shim README, "Logging", and the net/url package of Go, which is
 * what clients write these with and other shims read them by.
 */
#ifndef SHIM_URI_H
#define SHIM_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define URI_MAX 65536u	  /* bytes of one */
#define URI_ARGS_MAX 256u /* of a logger */

enum uri_kind {
	URI_NONE,   /* "" */
	URI_FIFO,   /* a path as it is, or fifo:// */
	URI_FILE,   /* file:// */
	URI_BINARY, /* binary:// */
};

struct uri {
	enum uri_kind kind;
	char *path;   /* absolute; NULL for none */
	char **args;  /* of a logger: keys and values in turns, ended by NULL; NULL for no logger */
	size_t nargs; /* without the NULL */
};

/**
 * uri_parse() - take one apart
 * In the path of a URI %XX is a byte. In the query of a binary '+' is a blank as well, of a key that
 * comes again only the first value counts, and a pair that does not decode is left out, all as
 * url.Query() has it; but the order is kept. A query of the others, and any fragment, say nothing.
 * Return: 0, or -1 with @err (ENOTSUP for a scheme that is not known) and nothing to free.
 */
int uri_parse(struct uri *u, const char *text, struct qbx_err *err) _must_check_;

/** uri_free() - also fit for _cleanup_(uri_free). */
void uri_free(struct uri *u);

#endif
