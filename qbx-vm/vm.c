/* SPDX-License-Identifier: Apache-2.0 */
/* vm.c - a VM as this process sees it: its processes, and what ended them */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "end.h"
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

/*
 * It ends when QEMU does, and can be seen to have ended first: wait a moment for QEMU, whose end says
 * more.
 */
static void on_share_rest(void *arg)
{
	struct vm *vm = arg;

	vm->share_rest = NULL;
	vm->share_gone = true;
	tell(vm);
}

static void on_share(void *arg, int status)
{
	struct vm *vm = arg;
	struct qbx_err err = { 0 };

	(void)status;
	vm->share_watch = NULL;
	vm->share_rest = loop_add_timer(vm->loop, VM_GONE_MS, on_share_rest, vm, &err);
	if (!vm->share_rest)
		on_share_rest(vm);
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

int vm_watch_share(struct vm *vm, int pidfd, struct qbx_err *err)
{
	vm->share_watch = loop_add_child(vm->loop, pidfd, on_share, vm, err);
	return vm->share_watch ? 0 : -1;
}

void vm_unwatch(struct vm *vm)
{
	struct watch **all[] = { &vm->qemu_watch, &vm->helper_watch, &vm->share_watch,
				 &vm->share_rest };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		loop_remove(take_ptr(*all[i]));
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct vm *vm = arg;

	vm->signal = (int)info->ssi_signo;
	tell(vm);
}

static int init(struct vm *vm, const struct cli *cli, struct box *box, struct qbx_err *err)
{
	sigset_t set;

	phase_begin(&vm->phases);
	vm->cfg = &cli->cfg;
	vm->box = box;
	vm->dirfd = vm->monitor = vm->pidfd = -1;
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

int vm_init(struct vm *vm, const struct cli *cli, struct box *box, struct qbx_err *err)
{
	memset(vm, 0, sizeof(*vm));
	tsc_mark(&vm->born);
	if (plan_make(&vm->spec, cli, box, err) == 0 &&
	    hold_plan(&vm->spec, &cli->cfg, box, err) == 0)
		return init(vm, cli, box, err);
	plan_free(&vm->spec);
	return -1;
}

static void on_foreign_qemu(void *arg, uint32_t events)
{
	struct vm *vm = arg;

	(void)events;
	loop_remove(vm->qemu_watch);
	on_qemu(vm, -1);
}

static int attach(struct vm *vm, struct qbx_err *err)
{
	json_t *object;

	vm->dirfd = halt_open(vm->cfg, vm->box, err);
	object = vm->dirfd >= 0 ? vm_object_of(vm->box, vm->dirfd, err) : NULL;
	if (!object || proc_from_json(object, &vm->qemu, err) < 0) {
		json_decref(object);
		return -1;
	}
	json_object_set_new(vm->box->doc, "vm", object);
	vm->pidfd = proc_open(&vm->qemu);
	if (vm->pidfd < 0)
		return err_sys(err, errno, "open QEMU's process");
	vm->qemu_watch = loop_add_fd(vm->loop, vm->pidfd, EPOLLIN, on_foreign_qemu, vm, err);
	return vm->qemu_watch ? 0 : -1;
}

int vm_attach(struct vm *vm, const struct cli *cli, struct box *box, struct qbx_err *err)
{
	memset(vm, 0, sizeof(*vm));
	if (init(vm, cli, box, err) < 0)
		return -1;
	if (attach(vm, err) == 0)
		return 0;
	vm_release(vm);
	return err_wrap(err, "box %s", box->key);
}

void vm_release(struct vm *vm)
{
	json_decref(phase_take(&vm->phases));
	loop_free(vm->loop);
	vm->loop = NULL;
	plan_free(&vm->spec);
	if (vm->dirfd >= 0)
		close(take_fd(&vm->dirfd));
	if (vm->monitor >= 0)
		close(take_fd(&vm->monitor));
	if (vm->pidfd >= 0)
		close(take_fd(&vm->pidfd));
}

int vm_why_gone(const struct vm *vm, struct qbx_err *err)
{
	char said[300];
	struct end end;

	tail_line(vm->dirfd, VM_FILE_SHARE_LOG, said, sizeof(said));
	if (vm->share.pid && (said[0] || (!vm->qemu_gone && vm->share_gone)))
		return err_code(err, EX_UNAVAILABLE, "virtiofsd ended: %s",
				said[0] ? said : "it printed nothing");
	if (!vm->qemu_gone) {
		tail_line(vm->dirfd, VM_FILE_VSOCK_LOG, said, sizeof(said));
		return err_code(err, EX_UNAVAILABLE, "vhost-device-vsock ended: %s",
				said[0] ? said : "it printed nothing");
	}
	end_look(&end, vm->dirfd, vm->qemu_status, "");
	return end_say(&end, err);
}
