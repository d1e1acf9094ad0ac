/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - qbx-vm stop: what start did is undone; absent is success */
#include <errno.h>

#include "verbs.h"
#include "vm.h"

static void print_end(const char *what, const struct proc_id *id)
{
	if (id->pid)
		printf("end %s, process %d started at %llu\n", what, (int)id->pid, id->start);
}

static int print_plan(const struct cli *cli, const struct box *box, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = box_dir_open(&cli->cfg, box, 0, err);
	struct procs found;

	if ((dirfd < 0 && err->sys != ENOENT) || halt_find(box, dirfd, &found, err) < 0)
		return -1;
	print_end("QEMU", &found.qemu);
	print_end("vhost-device-vsock", &found.helper);
	print_end("virtiofsd", &found.share);
	printf("rm -r %s/%s\n", cli->cfg.run_dir, box->key);
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int stop(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	if (cli->dry_run)
		return print_plan(cli, &box, err);
	if (halt_box(&cli->cfg, &box, err) < 0)
		return -1;
	json_object_del(box.doc, "vm");
	return cli_emit(box.doc, err);
}

const struct cli_verb verb_stop = {
	.name = "stop",
	.help = "end the box's VM and remove what is left of it",
	.run = stop,
};
