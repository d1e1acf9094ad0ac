/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - qbx-vm start: a VM that goes on without us */
#include "verbs.h"
#include "vm.h"

static int start(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	struct vm vm;
	int ret;

	if (cli_read_box(cli, &box, err) < 0 || vm_init(&vm, cli, &box, err) < 0)
		return -1;
	if (cli->dry_run) {
		ret = plan_print(&vm.spec, vm.cfg, err);
	} else {
		ret = vm_boot(&vm, err);
		if (ret == 0)
			ret = cli_emit(box.doc, err);
	}
	vm_release(&vm);
	return ret;
}

const struct cli_verb verb_start = {
	.name = "start",
	.help = "start the box's VM and wait until its guest is ready",
	.run = start,
};
