/* SPDX-License-Identifier: Apache-2.0 */
/* descriptors.c - what QEMU is handed: opened by us, so that it need not be able to */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "boot.h"
#include "io.h"

int boot_create_log(int dirfd, const char *name, struct qbx_err *err)
{
	int fd = openat(dirfd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create %s", name) : fd;
}

static int open_vhost(int *fds, unsigned n, struct qbx_err *err)
{
	for (unsigned q = 0; q < n; q++) {
		fds[q] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (fds[q] < 0)
			return err_sys(err, errno, "open /dev/vhost-net");
	}
	return 0;
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
		const struct vm_link *l = &spec->links[i];
		unsigned queues = vm_link_queues(l);
		int *fds = &b->fds[vm_link_fd(spec, i)];

		if (tap_open(b->netns, l, fds, err) < 0 ||
		    (l->vhost && open_vhost(fds + queues, queues, err) < 0))
			return -1;
	}
	return 0;
}

/*
 * Unlike QEMU we may open what only root can read. A block device that may be written to is the guest's
 * alone: with O_EXCL that fails if the host has it mounted, and keeps the host from doing so.
 */
static int open_disk(const char *path, int flags, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && io_set_nonblock(fd, 0) == 0) /* it could have become a FIFO */
		return take_fd(&fd);
	err_sys(err, errno, "open disk %s", path);
	return err->sys == EBUSY ? err_hint(err, "the host uses it: unmount it there") : -1;
}

/* The same of the file that was looked at when the document was written, if that says which it was. */
static int open_known(const struct vm_disk *d, size_t i, const char *path, struct qbx_err *err)
{
	const char *want = json_string_value(json_array_get(d->inodes, i));
	int flags = d->readonly ? O_RDONLY : d->block ? O_RDWR | O_EXCL : O_RDWR;
	_cleanup_close_ int fd = open_disk(path, flags, err);
	struct stat st;
	char have[40];

	if (fd < 0 || !want)
		return take_fd(&fd);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "disk %s", path);
	snprintf(have, sizeof(have), "%llx:%llx", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	if (!strcmp(have, want))
		return take_fd(&fd);
	err_code(err, EX_DATAERR, "disk %s: not the file that it was: %s, not %s", path, have,
		 want);
	return err_hint(err, "it was replaced: qbx-fs prepare makes the document anew");
}

/*
 * No other VM may write to the same disk. The lock is the open file's, so it lasts as long as the last
 * process that has it: QEMU. It is on a byte that QEMU's own locks leave alone.
 */
static int lock_disk(int fd, const char *path, struct qbx_err *err)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_sys(err, errno, "lock disk %s", path);
	err_sys(err, EBUSY, "disk %s", path);
	return err_hint(err, "another VM writes to it, or qbx-fs export reads it");
}

/* A file in memory that holds @text; QEMU wants it opened the way it will be used. */
static int open_text(const char *text, bool readonly, struct qbx_err *err)
{
	_cleanup_close_ int fd = memfd_create("vmdk", MFD_CLOEXEC);
	char path[40];

	if (fd < 0 || io_write_all(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "describe a disk");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open_disk(path, readonly ? O_RDONLY : O_RDWR, err);
}

static int open_vmdk(const struct vm_disk *d, int first, int *fds, struct qbx_err *err)
{
	_cleanup_free_ char *text = vmdk_rewrite(d->extents, first + 1);

	if (!text)
		return err_sys(err, ENOMEM, "describe a disk");
	fds[first] = open_text(text, d->readonly, err);
	if (fds[first] < 0)
		return -1;
	for (size_t i = 0; i < d->extents->n; i++) {
		int *fd = &fds[first + 1 + (int)i];

		*fd = open_known(d, i, d->extents->v[i].path, err);
		if (*fd < 0)
			return -1;
	}
	return 0;
}

static int open_disks(struct boot *b, struct qbx_err *err)
{
	const struct vm_spec *spec = &b->vm->spec;

	for (size_t i = 0; i < spec->ndisks; i++) {
		const struct vm_disk *d = &spec->disks[i];
		int to = vm_disk_fd(spec, i);

		if (d->vmdk && open_vmdk(d, to, b->fds, err) < 0)
			return -1;
		if (!d->vmdk)
			b->fds[to] = open_known(d, 0, d->path, err);
		if (b->fds[to] < 0 || (!d->readonly && lock_disk(b->fds[to], d->path, err) < 0))
			return -1;
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
	b->fds[VM_FD_EVENTS] = unix_listen(vm->dirfd, VM_FILE_EVENTS, err);
	if (b->fds[VM_FD_QMP] < 0 || b->fds[VM_FD_EVENTS] < 0)
		return -1;
	b->fds[VM_FD_MONITOR] = take_fd(&vm->monitor);
	b->fds[VM_FD_CONSOLE] = boot_create_log(vm->dirfd, VM_FILE_CONSOLE, err);
	if (b->fds[VM_FD_CONSOLE] < 0)
		return -1;
	return open_links(b, err) < 0 ? -1 : open_disks(b, err);
}
