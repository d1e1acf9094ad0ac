/* SPDX-License-Identifier: Apache-2.0 */
/* qbx-fs: from what containerd calls a root file system to disks for a VM, qbx-fs(8) */
#include "fs.h"

int main(int argc, char **argv)
{
	static const struct cli_verb *const verbs[] = { &gc_verb, &prepare_verb, &release_verb, NULL };
	static const struct cli_program program = {
		.name = "qbx-fs",
		.purpose = "turn a container's root file system into disks",
		.verbs = verbs,
	};

	return cli_main(argc, argv, &program);
}
