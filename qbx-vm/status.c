/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - qbx-vm status: does the box's VM run, and what does QEMU say of it? */
#include <errno.h>
#include <string.h>

#include "verbs.h"
#include "vm.h"

/* QEMU's own word for the state; NULL, said in "error", when it does not answer. */
static json_t *ask(int dirfd, json_t *report)
{
	struct qbx_err err = { 0 };
	json_auto_t *reply = qmp_execute(dirfd, "query-status", VM_QUIT_MS, &err);

	if (!reply)
		json_object_set_new(report, "error", json_string(err.msg));
	return reply ? json_incref(json_object_get(reply, "status")) : NULL;
}

static int status(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_close_ int dirfd = -1, pidfd = -1;
	struct proc_id qemu, helper;
	json_auto_t *report = NULL;
	json_t *word = NULL;

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	dirfd = box_dir_open(&cli->cfg, &box, 0, err);
	if (dirfd < 0 && err->sys != ENOENT)
		return -1;
	err_forget(err);
	if (halt_find(&box, dirfd, &qemu, &helper, err) < 0)
		return -1;
	pidfd = dirfd >= 0 && qemu.pid ? proc_open(&qemu) : -1;
	report = json_pack("{s:s, s:s, s:s}", "id", box.id, "namespace", box.namespace, "state",
			   pidfd >= 0 ? "running" : "stopped");
	if (pidfd >= 0) {
		json_object_set_new(report, "pid", json_integer(qemu.pid));
		word = ask(dirfd, report);
	}
	if (word)
		json_object_set_new(report, "qemu", word);
	if (cli_emit(report, err) < 0)
		return -1;
	return pidfd >= 0 ? 0 : 1;
}

const struct cli_verb verb_status = {
	.name = "status",
	.help = "print whether the box's VM runs; exit status 1 if not",
	.run = status,
};
