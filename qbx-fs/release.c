/* SPDX-License-Identifier: Apache-2.0 */
/* release: undo what prepare did for this box */
#include <errno.h>

#include "beside.h"
#include "fs.h"
#include "writable.h"

/*
 * All that belongs to one box alone is its lease, what an export of it has left, and the disk that it
 * wrote to, unless that is a snapshot's. All are found by the box's name, so a box that was never
 * prepared, or whose document is lost, can be released as well. Images are shared and stay, until gc
 * finds that nothing needs them.
 */
static int release(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_free_ char *left = NULL;

	if (cli_read_box(cli, &box, err) < 0 ||
	    beside_clear(&cli->cfg, box.key, cli->dry_run, &left, err) < 0)
		return -1;
	if (cli->dry_run) {
		printf("rm -f %s/writable/%s.ext4\n", cli->cfg.state_dir, box.key);
		printf("rm -f %s/layers/leases/%s.json\n", cli->cfg.state_dir, box.key);
		if (left)
			plan_line("rm -r %s", left);
		printf("drop \"fs\" of %s; shared images stay\n", box.key);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	if (writable_release(&cli->cfg, &box, err) < 0 || lease_drop(&cli->cfg, box.key, err) < 0)
		return -1;
	json_object_del(box.doc, "fs");
	return cli_emit(box.doc, err);
}

const struct cli_verb release_verb = {
	.name = "release",
	.help = "undo prepare: remove what the box wrote, drop the \"fs\" key; shared images stay",
	.run = release,
};
