/* SPDX-License-Identifier: Apache-2.0 */
/* qbx-fs: from what containerd calls a root file system to disks for a VM, qbx-fs(8) */
#include "fs.h"

struct fs_options fs_options;

int main(int argc, char **argv)
{
	static const struct cli_verb *const verbs[] = { &export_verb,  &gc_verb,      &inspect_verb,
							&prepare_verb, &release_verb, NULL };
	static const struct cli_opt opts[] = {
		{ "to", "DIR", "export: the directory to replace",
		  offsetof(struct fs_options, to) },
		{ "j", NULL, "inspect: print JSON", offsetof(struct fs_options, json) },
		{ NULL, NULL, NULL, 0 },
	};
	static const struct cli_program program = {
		.name = "qbx-fs",
		.purpose = "turn a container's root file system into disks",
		.verbs = verbs,
		.opts = opts,
		.values = &fs_options,
	};

	return cli_main(argc, argv, &program);
}
