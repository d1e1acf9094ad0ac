/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - qbx-vm run: the box's container in the foreground, in a VM that ends with it */
#include <fcntl.h>
#include <string.h>

#include "console.h"
#include "json.h"
#include "log.h"
#include "verbs.h"
#include "vm.h"

/*
 * End the VM, whatever came of the container; a failure here is told only if nothing else failed.
 */
static int end(struct vm *vm, int ret, struct qbx_err *err)
{
	struct qbx_err second = { 0 };

	vm_unwatch(vm);
	if (halt_box(vm->cfg, vm->box, &second) == 0) {
		phase_mark(&vm->phases, "stop");
		return ret;
	}
	if (ret < 0)
		log_warn("%s", second.msg);
	else
		*err = second;
	return -1;
}

static int report(struct vm *vm, int status, struct qbx_err *err)
{
	json_t *object = json_object_get(vm->box->doc, "vm");

	if (!vm_options.report)
		return status;
	json_object_set(object, "t_us", vm->phases.t_us);
	json_object_set_new(object, "exit_status", json_integer(status));
	return json_write_file(AT_FDCWD, vm_options.report, 0644, vm->box->doc, err) < 0 ? -1
											 : status;
}

static int run_in(struct vm *vm, const json_t *spec, const struct cli *cli, struct qbx_err *err)
{
	struct console *console;
	int status = 0, ret = -1;

	vm->die_with_us = true;
	if (vm_boot(vm, err) < 0)
		return vm->signal ? 128 + vm->signal : -1;
	console = console_keep(vm->loop, vm->dirfd, cli->cfg.console_max_kib * (size_t)1024, err);
	if (console)
		ret = foreground_run(vm, spec, cli->box_path != NULL, &status, err);
	console_free(console);
	if (end(vm, ret, err) < 0)
		return -1;
	return report(vm, status, err);
}

static int check_rootfs(const struct box *box, struct qbx_err *err)
{
	json_t *fs = json_object_get(box->doc, "fs");

	if (json_array_size(json_object_get(fs, "mounts")) > 0)
		return 0;
	err_code(err, EX_DATAERR, "box %s: no \"fs.mounts\" in the document: nothing to run",
		 box->key);
	return err_hint(err, "qbx-fs prepare comes before qbx-vm run");
}

static int run(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	json_auto_t *spec = NULL;
	struct vm vm;
	int ret;

	if (cli_read_box(cli, &box, err) < 0 || check_rootfs(&box, err) < 0)
		return -1;
	spec = spec_make(&box, cli->args, cli->nargs, err);
	if (!spec || spec_no_hooks(spec, err) < 0 || vm_init(&vm, cli, &box, err) < 0)
		return -1;
	ret = volumes_place(spec, json_object_get(json_object_get(box.doc, "fs"), "volumes"),
			    vm.spec.accel == ACCEL_TCG, err);
	if (ret == 0)
		ret = cli->dry_run ? plan_print(&vm.spec, vm.cfg, err)
				   : run_in(&vm, spec, cli, err);
	vm_release(&vm);
	return ret;
}

const struct cli_verb verb_run = {
	.name = "run",
	.args = "[--] [CMD [ARG]...]",
	.help = "start the VM, run the container in the foreground, stop the VM",
	.container = true,
	.run = run,
};
