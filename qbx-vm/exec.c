/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - qbx-vm exec: a further process in the container of a box that runs, in the foreground */
#include "verbs.h"
#include "vm.h"

/* The process of the container's specification, but for its terminal. */
static json_t *process_of(const struct cli *cli, const struct box *box, struct qbx_err *err)
{
	json_auto_t *spec = spec_make(box, cli->args, cli->nargs, err);
	json_t *process = json_object_get(spec, "process");

	json_object_del(process, "terminal");
	return json_incref(process);
}

static int exec_in(struct cli *cli, struct box *box, int *status, struct qbx_err *err)
{
	json_auto_t *process = NULL;
	struct vm vm;
	int ret = -1;

	if (vm_attach(&vm, cli, box, err) < 0)
		return -1;
	process = process_of(cli, box, err);
	if (process)
		ret = foreground_exec(&vm, process, cli->box_path != NULL, status, err);
	vm_release(&vm);
	return ret;
}

static int print_plan(const struct cli *cli, const struct box *box, struct qbx_err *err)
{
	json_auto_t *process = process_of(cli, box, err);

	return process ? cli_emit(process, err) : -1;
}

static int exec(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	int status = 0;

	if (cli->nargs == 0)
		return err_code(err, EX_USAGE, "exec wants a command");
	if (cli_read_box(cli, &box, err) < 0)
		return -1;
	if (cli->dry_run)
		return print_plan(cli, &box, err);
	return exec_in(cli, &box, &status, err) < 0 ? -1 : status;
}

const struct cli_verb verb_exec = {
	.name = "exec",
	.args = "[--] CMD [ARG]...",
	.help = "run a command in the container of a box that runs",
	.container = true,
	.run = exec,
};
