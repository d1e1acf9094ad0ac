/* SPDX-License-Identifier: Apache-2.0 */
/* vm.c - a VM as this process sees it: its processes, and what ended them */
#include <signal.h>
#include <string.h>

#include "json.h"
#include "tail.h"
#include "vm.h"

static void tell(struct vm *vm)
{
	if (vm->notify)
		vm->notify(vm->notify_arg);
}

static void on_qemu(void *arg, int status)
{
	struct vm *vm = arg;

	vm->qemu_watch = NULL;
	vm->qemu_gone = true;
	vm->qemu_status = status;
	tell(vm);
}

static void on_helper(void *arg, int status)
{
	struct vm *vm = arg;

	(void)status;
	vm->helper_watch = NULL;
	vm->helper_gone = true;
	tell(vm);
}

int vm_watch_qemu(struct vm *vm, int pidfd, struct qbx_err *err)
{
	vm->qemu_watch = loop_add_child(vm->loop, pidfd, on_qemu, vm, err);
	return vm->qemu_watch ? 0 : -1;
}

int vm_watch_helper(struct vm *vm, int pidfd, struct qbx_err *err)
{
	vm->helper_watch = loop_add_child(vm->loop, pidfd, on_helper, vm, err);
	return vm->helper_watch ? 0 : -1;
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct vm *vm = arg;

	vm->signal = (int)info->ssi_signo;
	tell(vm);
}

int vm_init(struct vm *vm, const struct cli *cli, struct box *box, struct qbx_err *err)
{
	sigset_t set;

	memset(vm, 0, sizeof(*vm));
	tsc_mark(&vm->born);
	vm->cfg = &cli->cfg;
	vm->box = box;
	vm->dirfd = -1;
	if (plan_make(&vm->spec, cli, box, err) < 0 ||
	    hold_plan(&vm->spec, vm->cfg, box, err) < 0) {
		plan_free(&vm->spec);
		return -1;
	}
	phase_begin(&vm->phases);
	vm->loop = loop_new(err);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (vm->loop)
		vm->signals = loop_add_signals(vm->loop, &set, on_signal, vm, err);
	if (vm->signals)
		return 0;
	vm_release(vm);
	return -1;
}

void vm_release(struct vm *vm)
{
	json_decref(phase_take(&vm->phases));
	loop_free(vm->loop);
	vm->loop = NULL;
	plan_free(&vm->spec);
	if (vm->dirfd >= 0)
		close(take_fd(&vm->dirfd));
}

int vm_why_gone(const struct vm *vm, struct qbx_err *err)
{
	char said[300], console[300];

	if (!vm->qemu_gone) {
		tail_line(vm->dirfd, VM_FILE_VSOCK_LOG, said, sizeof(said));
		return err_code(err, EX_UNAVAILABLE, "vhost-device-vsock ended: %s",
				said[0] ? said : "it printed nothing");
	}
	tail_line(vm->dirfd, VM_FILE_QEMU_LOG, said, sizeof(said));
	if (strstr(said, ": warning: "))
		said[0] = '\0'; /* QEMU says why it ends last: so that was nothing */
	tail_panic(vm->dirfd, VM_FILE_CONSOLE, console, sizeof(console));
	if (vm->qemu_status == 0)
		err_code(err, EX_UNAVAILABLE, "the guest powered off");
	else if (vm->qemu_status > 128)
		err_code(err, EX_UNAVAILABLE, "QEMU was ended by signal %d%s%s",
			 vm->qemu_status - 128, said[0] ? ": " : "", said);
	else
		err_code(err, EX_UNAVAILABLE, "QEMU failed with status %d%s%s", vm->qemu_status,
			 said[0] ? ": " : "", said);
	if (console[0])
		err_hint(err, "the guest's last line: %.200s", console);
	return -1;
}
