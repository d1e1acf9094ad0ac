/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - qbx-vm status: does the box's VM run, and what does QEMU say of it? */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "verbs.h"
#include "vm.h"

/* QEMU's own word for the state, or why it has none, in @report. */
static void ask(int dirfd, unsigned timeout_ms, json_t *report)
{
	struct qbx_err err = { 0 };
	json_auto_t *reply = qmp_execute(dirfd, "query-status", timeout_ms, &err);
	json_t *word = json_object_get(reply, "status");

	if (!reply)
		json_object_set_new(report, "error", json_string(err.msg));
	else if (json_is_string(word))
		json_object_set(report, "qemu", word);
	if (word && !strcmp(json_string_value(word), "paused"))
		json_object_set_new(report, "state", json_string("paused"));
}

/* Whole seconds that a process has run. */
static json_t *uptime(const struct proc_id *id)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return json_integer(now.tv_sec -
			    (json_int_t)(id->start / (unsigned long)sysconf(_SC_CLK_TCK)));
}

static void describe(json_t *report, const json_t *vm)
{
	static const char *const keys[] = { "uid",   "cgroup",	  "accel",	"machine",
					    "vcpus", "vcpus_max", "memory_mib", "memory_max_mib" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set(report, keys[i], json_object_get(vm, keys[i]));
}

json_t *status_report(const struct config *cfg, const struct box *box, unsigned timeout_ms,
		      struct qbx_err *err)
{
	_cleanup_close_ int dirfd = box_dir_open(cfg, box, 0, err), pidfd = -1;
	json_auto_t *vm = NULL;
	struct procs found;
	json_t *report;

	if (dirfd < 0 && err->sys != ENOENT)
		return NULL;
	err_forget(err);
	if (halt_find(box, dirfd, &found, err) < 0)
		return NULL;
	pidfd = dirfd >= 0 && found.qemu.pid ? proc_open(&found.qemu) : -1;
	report = json_pack("{s:s, s:s, s:s}", "id", box->id, "namespace", box->namespace, "state",
			   pidfd >= 0 ? "running" : "stopped");
	if (pidfd < 0)
		return report;
	vm = vm_object_of(box, dirfd, err);
	json_object_set_new(report, "pid", json_integer(found.qemu.pid));
	json_object_set_new(report, "up_s", uptime(&found.qemu));
	describe(report, vm);
	ask(dirfd, timeout_ms, report);
	return report;
}

static int status(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	json_auto_t *report = NULL;

	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	report = status_report(&cli->cfg, &box, VM_QUIT_MS, err);
	if (!report || cli_emit(report, err) < 0)
		return -1;
	return json_object_get(report, "pid") ? 0 : 1;
}

const struct cli_verb verb_status = {
	.name = "status",
	.help = "print whether the box's VM runs, and how; exit status 1 if not",
	.run = status,
};
