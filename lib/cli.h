/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the command line that all commands share: PROGRAM [OPTION]... VERB [OPTION]... [ARG]... */
#ifndef QBX_CLI_H
#define QBX_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "box.h"
#include "config.h"
#include "err.h"

/*
 * An option of one program: a flag (metavar NULL, a bool in the program's options struct) or an
 * option with a value (a const char *). Help text is made from this table.
 */
struct cli_opt {
	const char *name;    /* without dashes: two of them, or one if it is a single letter */
	const char *metavar; /* NULL for a flag */
	const char *help;
	size_t offset; /* in the struct that cli_program.values points to */
};

struct cli;

/* One verb, defined at the bottom of the file that implements it. */
struct cli_verb {
	const char *name;
	const char *args; /* what follows the verb in the synopsis, or NULL for none */
	const char *help;
	bool container; /* runs a payload: its status is ours, own failures are 125 */
	/* Return: exit status, or -1 with @err filled. */
	int (*run)(struct cli *cli, struct qbx_err *err);
};

struct cli_program {
	const char *name, *purpose;
	const struct cli_verb *const *verbs; /* NULL-terminated */
	const struct cli_opt *opts;	     /* ended by a NULL name; NULL for none */
	void *values;			     /* the options struct */
};

struct cli {
	const struct cli_program *program;
	const struct cli_verb *verb;
	struct config cfg;
	bool json_errors, dry_run, help, version, debug;
	const char *box_path; /* --box, or NULL for standard input */
	char **args;	      /* after the verb; borrowed from argv */
	int nargs;
};

/**
 * cli_main() - parse, load the configuration, run the verb, render its error
 * SIGPIPE is ignored from here on: a closed stdout is a write error like any other.
 * Return: what main() returns.
 */
int cli_main(int argc, char **argv, const struct cli_program *program);

/** cli_read_box() - the document from --box or standard input. Return: 0, or -1 with @err. */
int cli_read_box(const struct cli *cli, struct box *box, struct qbx_err *err) _must_check_;

/** cli_emit() - the one document on standard output. Return: 0, or -1 with @err. */
int cli_emit(const json_t *j, struct qbx_err *err) _must_check_;

#endif
