/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.c - what carries vsock: the kernel's vhost-vsock, or vhost-device-vsock */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "claim.h"
#include "vm.h"

#define VHOST_VSOCK "/dev/vhost-vsock"

/* Small ones are what people give by hand, and the document's integers end at INT_MAX. */
static const struct claim_range cids = { VM_CLAIM_CID, 1u << 16, 1u << 20 };

int vsock_by_vhost_user(const struct config *cfg, bool *vhost_user, struct qbx_err *err)
{
	bool kernel = access(VHOST_VSOCK, R_OK | W_OK) == 0;

	if (!kernel && !strcmp(cfg->vsock, "vhost-vsock")) {
		err_sys(err, errno, "open %s", VHOST_VSOCK);
		return err_hint(err, "modprobe vhost_vsock, or set QEMUBOX_VSOCK=auto");
	}
	*vhost_user = !strcmp(cfg->vsock, "vhost-user") || !kernel;
	return 0;
}

static int open_vsock_dir(int dirfd)
{
	return openat(dirfd, VM_DIR_VSOCK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int listen_vsock(struct vm_spec *spec, struct qbx_err *err)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = VMADDR_PORT_ANY,
	};
	socklen_t len = sizeof(vm);
	_cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&vm, len) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&vm, &len) < 0)
		return err_sys(err, errno, "listen on vsock");
	spec->hello_port = vm.svm_port;
	return take_fd(&fd);
}

/* In a directory that the daemon, which does not run yet, will own, as it will the socket. */
static int listen_unix(const struct vm_spec *spec, int dirfd, struct qbx_err *err)
{
	_cleanup_close_ int dir = -1, fd = -1;

	if (mkdirat(dirfd, VM_DIR_VSOCK, 0700) < 0)
		return err_sys(err, errno, "make " VM_DIR_VSOCK);
	dir = open_vsock_dir(dirfd);
	if (dir < 0)
		return err_sys(err, errno, "open " VM_DIR_VSOCK);
	fd = unix_listen(dir, VM_VSOCK_HELLO, err);
	if (fd < 0)
		return -1;
	if (fchownat(dir, VM_VSOCK_HELLO, spec->uid, spec->uid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchown(dir, spec->uid, spec->uid) < 0)
		return err_sys(err, errno, "give " VM_DIR_VSOCK " to user %u", spec->uid);
	return take_fd(&fd);
}

int vsock_listen(struct vm_spec *spec, int dirfd, struct qbx_err *err)
{
	if (!spec->vhost_user)
		return listen_vsock(spec, err);
	spec->hello_port = VM_HELLO_PORT;
	return listen_unix(spec, dirfd, err);
}

static int set_cid(void *arg, unsigned number)
{
	const int *fd = arg;
	uint64_t cid = number;

	return ioctl(*fd, VHOST_VSOCK_SET_GUEST_CID, &cid);
}

int vsock_claim_cid(struct vm_spec *spec, const struct config *cfg, const char *key,
		    struct qbx_err *err)
{
	_cleanup_close_ int fd = open(VHOST_VSOCK, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open %s", VHOST_VSOCK);
	if (claim_take(cfg, &cids, key, set_cid, &fd, &spec->cid, err) < 0)
		return -1;
	return take_fd(&fd);
}

/* A duplicate of the process's socket that is bound to @name; -1 with errno when it has none. */
static int borrow_socket(pid_t pid, int pidfd, const char *name)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		struct sockaddr_un un = { 0 };
		socklen_t len = sizeof(un) - 1;
		_cleanup_close_ int fd = -1;

		if (e->d_name[0] == '.')
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(e->d_name), 0);
		if (fd >= 0 && getsockname(fd, (struct sockaddr *)&un, &len) == 0 &&
		    un.sun_family == AF_UNIX && !strcmp(un.sun_path, name))
			return take_fd(&fd);
	}
	errno = ENOENT;
	return -1;
}

/*
 * A socket's file appears in the middle of bind(2), and connect(2) is refused until listen(2). No
 * event tells of either step, so take both in hand instead of trying again:
 *  - bind holds the lock of the directory until the socket has its address. A rename in that
 *    directory needs the same lock, so it returns when bind is done.
 *  - listen is done here, on a duplicate of the daemon's socket. When the daemon does it again,
 * only the length of the queue changes.
 */
int vsock_connect(int dirfd, pid_t pid, int pidfd, struct qbx_err *err)
{
	_cleanup_close_ int dir = open_vsock_dir(dirfd), theirs = -1, fd = -1;

	if (dir < 0 || renameat(dir, VM_VSOCK_VHOST, dir, VM_VSOCK_VHOST_BOUND) < 0)
		return err_sys(err, errno, "rename " VM_VSOCK_VHOST);
	theirs = borrow_socket(pid, pidfd, VM_VSOCK_VHOST);
	if (theirs < 0 || listen(theirs, 1) < 0)
		return err_sys(err, errno, "listen for vhost-device-vsock");
	fd = unix_connect(dir, VM_VSOCK_VHOST_BOUND);
	if (fd < 0)
		return err_sys(err, errno, "connect to vhost-device-vsock");
	/* It has served: nobody else is to find it. */
	if (unlinkat(dir, VM_VSOCK_VHOST_BOUND, 0) < 0)
		return err_sys(err, errno, "remove " VM_VSOCK_VHOST_BOUND);
	return take_fd(&fd);
}
