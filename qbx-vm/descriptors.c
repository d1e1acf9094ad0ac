/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors.c - what QEMU is handed: opened by us, so that it need not be able to */
#include <errno.h>
#include <fcntl.h>

#include "boot.h"

int boot_create_log(int dirfd, const char *name, struct qbx_err *err)
{
	int fd = openat(dirfd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create %s", name) : fd;
}

static int open_links(struct boot *b, struct qbx_err *err)
{
	const struct vm_spec *spec = &b->vm->spec;

	if (spec->netns) {
		b->netns = open(spec->netns, O_RDONLY | O_CLOEXEC);
		if (b->netns < 0)
			return err_sys(err, errno, "open network namespace %s", spec->netns);
	}
	for (size_t i = 0; i < spec->nlinks; i++) {
		int *fd = &b->fds[vm_link_fd(spec, i)];

		fd[0] = tap_open(b->netns, spec->links[i].tap, err);
		if (fd[0] < 0)
			return -1;
		if (!spec->links[i].vhost)
			continue;
		fd[1] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (fd[1] < 0)
			return err_sys(err, errno, "open /dev/vhost-net");
	}
	return 0;
}

static int open_disks(struct boot *b, struct qbx_err *err)
{
	const struct vm_spec *spec = &b->vm->spec;

	for (size_t i = 0; i < spec->ndisks; i++) {
		const struct vm_disk *d = &spec->disks[i];
		int *fd = &b->fds[vm_disk_fd(spec, i)];

		if (d->vmdk)
			continue;
		*fd = open(d->path, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (*fd < 0)
			return err_sys(err, errno, "open disk %s", d->path);
	}
	return 0;
}

int boot_open_all(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	b->listener = vsock_listen(&vm->spec, vm->dirfd, err);
	if (b->listener < 0)
		return -1;
	b->fds[VM_FD_QMP] = unix_listen(vm->dirfd, VM_FILE_QMP, err);
	if (b->fds[VM_FD_QMP] < 0)
		return -1;
	b->fds[VM_FD_CONSOLE] = boot_create_log(vm->dirfd, VM_FILE_CONSOLE, err);
	if (b->fds[VM_FD_CONSOLE] < 0)
		return -1;
	return open_links(b, err) < 0 ? -1 : open_disks(b, err);
}
