/* SPDX-License-Identifier: Apache-2.0 */
/* qemu.c - start QEMU */
#include <errno.h>

#include "boot.h"

/* Written down before it runs: whatever becomes of this process, `stop` finds it. */
static int record_qemu(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->qemu) < 0)
		return err_sys(err, errno, "identify QEMU");
	return vm_record(vm, err);
}

int boot_qemu(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int log = boot_create_log(vm->dirfd, VM_FILE_QEMU_LOG, err);
	struct proc_fd fds[ARRAY_SIZE(b->fds) + 2] = { { log, 1 }, { log, 2 } };
	struct proc_spec spec = {
		.cwd = vm->spec.dir,
		.fds = fds,
		.nfds = 2,
		.netns = b->netns,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_qemu,
		.born_arg = vm,
	};
	char **argv;
	int pidfd, ret;
	pid_t pid;

	vm->spec.tsc_khz = tsc_khz_since(&vm->born);
	argv = vm_argv(&vm->spec);
	if (log < 0 || !argv) {
		strv_free(argv);
		return log < 0 ? -1 : err_sys(err, ENOMEM, "make QEMU's command line");
	}
	b->fds[VM_FD_VSOCK] = take_fd(&b->vsock);
	for (int to = 0; to < (int)ARRAY_SIZE(b->fds); to++)
		if (b->fds[to] >= 0)
			fds[spec.nfds++] = (struct proc_fd){ b->fds[to], to };
	spec.argv = (const char *const *)argv;
	ret = proc_spawn(&spec, &pid, &pidfd, err);
	strv_free(argv);
	if (ret < 0) {
		vm->qemu.pid = 0; /* it never ran */
		return -1;
	}
	return vm_watch_qemu(vm, pidfd, err);
}
