/* SPDX-License-Identifier: Apache-2.0 */
/* pause.c - qbx-vm pause and resume: the guest stands still, and goes on */
#include <errno.h>

#include "verbs.h"
#include "vm.h"

/*
 * Both may be said twice. Whoever watches the guest's heartbeat hears it from QEMU, and so does not
 * take a pause for a hang.
 */
static int steer(struct cli *cli, const char *command, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_close_ int dirfd = -1;
	json_t *reply;

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	if (cli->dry_run) {
		printf("tell QEMU: %s\n", command);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	dirfd = halt_open(&cli->cfg, &box, err);
	reply = dirfd >= 0 ? qmp_execute(dirfd, command, VM_QUIT_MS, err) : NULL;
	json_decref(reply);
	if (!reply)
		return err_wrap(err, "box %s", box.key);
	return cli_emit(box.doc, err);
}

static int pause_(struct cli *cli, struct qbx_err *err)
{
	return steer(cli, "stop", err);
}

static int resume(struct cli *cli, struct qbx_err *err)
{
	return steer(cli, "cont", err);
}

const struct cli_verb verb_pause = {
	.name = "pause",
	.help = "have the box's VM stand still",
	.run = pause_,
};

const struct cli_verb verb_resume = {
	.name = "resume",
	.help = "have a VM that stands still go on",
	.run = resume,
};
