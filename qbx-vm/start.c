/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - qbx-vm start: a VM that goes on without us */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "verbs.h"
#include "vm.h"

/* --monitor: a connected socket whose other end the caller keeps. */
static int take_monitor(struct vm *vm, struct qbx_err *err)
{
	const char *text = vm_options.monitor;
	int type = 0;
	socklen_t len = sizeof(type);
	char *rest;
	long fd;

	if (!text)
		return 0;
	errno = 0;
	fd = strtol(text, &rest, 10);
	if (errno || rest == text || *rest || fd <= STDERR_FILENO || fd > INT_MAX ||
	    getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return err_code(err, EX_USAGE, "--monitor: \"%s\" is no descriptor of a socket",
				text);
	vm->monitor = fcntl((int)fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (vm->monitor < 0)
		return err_sys(err, errno, "--monitor %s", text);
	close((int)fd); /* so that its other end hears when QEMU ends */
	vm->spec.monitor = true;
	return 0;
}

static int start(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	struct vm vm;
	int ret;

	if (cli_read_box(cli, &box, err) < 0 || vm_init(&vm, cli, &box, err) < 0)
		return -1;
	ret = take_monitor(&vm, err);
	if (ret == 0)
		ret = cli->dry_run ? plan_print(&vm.spec, vm.cfg, err) : vm_boot(&vm, err);
	if (ret == 0 && !cli->dry_run)
		ret = cli_emit(box.doc, err);
	vm_release(&vm);
	return ret;
}

const struct cli_verb verb_start = {
	.name = "start",
	.help = "start the box's VM and wait until its guest is ready",
	.run = start,
};
