/* SPDX-License-Identifier: Apache-2.0 */
/* argv.h - a command line under construction: argv.c and machine.c each write a part of QEMU's */
#ifndef QBX_VM_ARGV_H
#define QBX_VM_ARGV_H

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

struct argv {
	char **v; /* NULL-terminated */
	size_t n;
	bool failed; /* memory was short, or a word did not fit: said once, at the end */
};

/** argv_add() - one more word, formatted. */
void argv_add(struct argv *a, const char *fmt, ...) _printf_(2, 3);

#endif
