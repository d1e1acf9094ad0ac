/* SPDX-License-Identifier: Apache-2.0 */
/* qemu.c - start QEMU */
#include <errno.h>
#include <string.h>

#include "boot.h"

/* Written down before it runs: whatever becomes of this process, `stop` finds it. */
static int record_qemu(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->qemu) < 0)
		return err_sys(err, errno, "identify QEMU");
	if (vm_record(vm, err) < 0)
		return -1;
	return vm->spec.cgroup[0] ? cgroup_enter(vm->spec.cgroup, pid, err) : 0;
}

/* By their real paths: symlinks may lead through directories that it does not see. */
static int resolve(char path[PATH_MAX], struct qbx_err *err)
{
	char real[PATH_MAX];

	if (!realpath(path, real))
		return err_sys(err, errno, "find %s", path);
	memcpy(path, real, sizeof(real));
	return 0;
}

/* It sees nothing but what it loads; the kernel and the initrd it insists on opening by path. */
static int confine_qemu(struct confine *c, struct vm_spec *spec, struct qbx_err *err)
{
	if (resolve(spec->qemu, err) < 0 || resolve(spec->kernel, err) < 0 ||
	    resolve(spec->initrd, err) < 0 || confine_program(c, spec->qemu, err) < 0)
		return -1;
	if (confine_bind(c, spec->kernel, NULL, CONFINE_READ, err) < 0)
		return -1;
	return confine_bind(c, spec->initrd, NULL, CONFINE_READ, err);
}

/* Descriptors by their numbers in QEMU, after its standard ones. */
static size_t list_fds(const struct boot *b, struct proc_fd *fds, size_t n)
{
	for (int to = 0; to < b->nfds; to++)
		if (b->fds[to] >= 0)
			fds[n++] = (struct proc_fd){ b->fds[to], to };
	return n;
}

static int spawn_qemu(struct boot *b, struct confine *confine, const char *const *argv,
		      struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int log = boot_create_log(vm->dirfd, VM_FILE_QEMU_LOG, err);
	_cleanup_free_ struct proc_fd *fds = calloc((size_t)b->nfds + 2, sizeof(*fds));
	struct proc_spec spec = {
		.argv = argv,
		.envp = confine_env(),
		.cwd = "/",
		.fds = fds,
		.netns = b->netns,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_qemu,
		.born_arg = vm,
		.confine = confine_self,
		.confine_arg = confine,
	};
	pid_t pid;
	int pidfd;

	if (!fds)
		return err_sys(err, ENOMEM, "start QEMU");
	if (log < 0)
		return -1;
	fds[0] = (struct proc_fd){ log, 1 };
	fds[1] = (struct proc_fd){ log, 2 };
	spec.nfds = list_fds(b, fds, 2);
	if (proc_spawn(&spec, &pid, &pidfd, err) == 0)
		return vm_watch_qemu(vm, pidfd, err);
	vm->qemu.pid = 0; /* it never ran */
	return -1;
}

int boot_qemu(struct boot *b, struct qbx_err *err)
{
	struct vm_spec *spec = &b->vm->spec;
	_cleanup_(confine_free) struct confine confine = {
		.relaxed = spec->relaxed,
		.uid = spec->uid,
		.over = spec->dir,
		.kvm = spec->accel == ACCEL_KVM,
	};
	char **argv;
	int ret;

	if (confine_qemu(&confine, spec, err) < 0)
		return -1;
	spec->tsc_khz = tsc_khz_since(&b->vm->born);
	argv = vm_argv(spec);
	if (!argv)
		return err_sys(err, ENOMEM, "make QEMU's command line");
	b->fds[VM_FD_VSOCK] = take_fd(&b->vsock);
	ret = spawn_qemu(b, &confine, (const char *const *)argv, err);
	strv_free(argv);
	return ret;
}
