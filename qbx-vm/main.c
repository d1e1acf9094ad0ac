/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - qbx-vm: spawn, steer and stop the QEMU process of a box */
#include "verbs.h"

struct vm_options vm_options;

/* clang-format off */
static const struct cli_verb *const verbs[] = {
	&verb_start,
	&verb_run,
	&verb_exec,
	&verb_stop,
	&verb_pause,
	&verb_resume,
	&verb_status,
	&verb_list,
	&verb_events,
	&verb_size,
	&verb_resize,
	&verb_check,
	NULL,
};
/* clang-format on */

static const struct cli_opt opts[] = {
	{ "vcpus", "N", "resize: have so many processors", offsetof(struct vm_options, vcpus) },
	{ "memory-mib", "N", "resize: have so much memory",
	  offsetof(struct vm_options, memory_mib) },
	{ "report", "FILE", "run: write the document, with its timings, to FILE at the end",
	  offsetof(struct vm_options, report) },
	{ "monitor", "FD",
	  "start: have QEMU's monitor on FD, a socket whose other end the caller keeps",
	  offsetof(struct vm_options, monitor) },
	{ "explain", NULL, "size: print how it is come to, step by step",
	  offsetof(struct vm_options, explain) },
	{ "j", NULL, "check, list: answer in JSON", offsetof(struct vm_options, json) },
	{ NULL, NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	const struct cli_program program = {
		.name = "qbx-vm",
		.purpose = "run the microVM of a box",
		.verbs = verbs,
		.opts = opts,
		.values = &vm_options,
	};

	return cli_main(argc, argv, &program);
}
