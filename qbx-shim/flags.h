/* SPDX-License-Identifier: Apache-2.0 */
/* flags.h - the command line that containerd gives a shim, in the syntax of Go's flag package */
#ifndef SHIM_FLAGS_H
#define SHIM_FLAGS_H

#include <stdbool.h>

#include "err.h"

/* Strings are borrowed from argv; NULL where not given. */
struct flags {
	const char *namespace, *id;
	const char *address;	    /* containerd's gRPC socket */
	const char *bundle;	    /* delete only; else it is the working directory */
	const char *publish_binary; /* for shims that cannot speak to TTRPC_ADDRESS; unused */
	const char *socket;	    /* unused, as in containerd's own shims */
	bool debug, version, info;
	const char *action; /* "start", "delete" or "serve"; NULL for none */
};

/**
 * flags_parse() - take a command line apart
 * One dash or two, "-x=value" or "-x value", booleans "-x" or "-x=true"; flags end at the first
 * other word, which is the action. Return: 0, or -1 with @err (EX_USAGE).
 */
int flags_parse(struct flags *f, int argc, char **argv, struct qbx_err *err) _must_check_;

#endif
