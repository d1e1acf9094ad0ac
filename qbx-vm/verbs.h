/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - what main.c offers; each is defined at the end of the file of its name */
#ifndef QBX_VM_VERBS_H
#define QBX_VM_VERBS_H

#include <stdbool.h>

#include "cli.h"

struct vm_options {
	const char *vcpus, *memory_mib; /* --vcpus, --memory-mib: of resize */
	const char *report;		/* --report */
	const char *monitor;		/* --monitor */
	bool explain;			/* --explain */
	bool json;			/* -j */
};

extern struct vm_options vm_options;

extern const struct cli_verb verb_start, verb_run, verb_stop, verb_status;
extern const struct cli_verb verb_resize;
extern const struct cli_verb verb_size, verb_check;
extern const struct cli_verb verb_exec, verb_pause, verb_resume, verb_list, verb_events;

#endif
