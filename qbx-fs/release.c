/* SPDX-License-Identifier: Apache-2.0 */
/* release: undo what prepare did for this box */
#include <errno.h>

#include "fs.h"

/*
 * prepare leaves nothing that belongs to one box alone but its lease: its images are shared and stay,
 * until gc finds that nothing needs them any more. A box that was never prepared counts as released.
 */
static int release(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	if (cli->dry_run) {
		printf("rm -f %s/layers/leases/%s.json\n", cli->cfg.state_dir, box.key);
		printf("drop \"fs\" of %s; shared images stay\n", box.key);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	if (lease_drop(&cli->cfg, box.key, err) < 0)
		return -1;
	json_object_del(box.doc, "fs");
	return cli_emit(box.doc, err);
}

const struct cli_verb release_verb = {
	.name = "release",
	.help = "undo prepare: drop the \"fs\" key; shared images stay",
	.run = release,
};
