/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - vhost-device-vsock: start it, wait for its socket, connect */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>

#include "boot.h"

/* Written down before it runs: whatever becomes of this process, `stop` finds it. */
static int record_helper(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->helper) < 0)
		return err_sys(err, errno, "identify vhost-device-vsock");
	if (vm_record(vm, err) < 0)
		return -1;
	return vm->spec.cgroup[0] ? cgroup_enter(vm->spec.cgroup, pid, err) : 0;
}

/* What to wait for: a watch on the daemon's directory, and whether the daemon's socket was seen. */
struct appear {
	struct boot *b;
	int fd;
};

static void on_created(void *arg, uint32_t events)
{
	struct appear *a = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(a->fd, buf, sizeof(buf));

	(void)events;
	for (char *p = buf; n > 0 && p < buf + n;) {
		struct inotify_event *e = (struct inotify_event *)p;

		if (e->len > 0 && !strcmp(e->name, VM_VSOCK_VHOST))
			boot_finished(a->b);
		p += sizeof(*e) + e->len;
	}
}

#define DAEMON "vhost-device-vsock"

/* It sees nothing but what it loads, and its directory. */
static int confine_daemon(struct confine *c, const char *dir, struct qbx_err *err)
{
	char found[PATH_MAX], program[PATH_MAX];

	if (!plan_find_program(found, DAEMON) || !realpath(found, program)) {
		err_sys(err, ENOENT, "start " DAEMON);
		return err_hint(err, "install " DAEMON ", or load the kernel module vhost_vsock");
	}
	if (confine_program(c, program, err) < 0 || confine_program(c, found, err) < 0)
		return -1;
	return confine_bind(c, dir, "/" VM_DIR_VSOCK, CONFINE_WRITE, err);
}

static int spawn_daemon(struct boot *b, const char *dir, int *pidfd, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int log = boot_create_log(vm->dirfd, VM_FILE_VSOCK_LOG, err);
	struct proc_fd fds[] = { { log, 1 }, { log, 2 } };
	_cleanup_(confine_free) struct confine confine = {
		.relaxed = vm->spec.relaxed,
		.uid = vm->spec.uid,
		.over = vm->spec.dir,
		.cwd = "/" VM_DIR_VSOCK,
		.filter = true,
	};
	struct proc_spec spec = {
		.argv = vsock_argv(),
		.envp = confine_env(),
		.cwd = dir, /* so that its paths stay short */
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
		.netns = -1,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_helper,
		.born_arg = vm,
		.confine = confine_self,
		.confine_arg = &confine,
	};
	pid_t pid;

	if (log < 0 || confine_daemon(&confine, dir, err) < 0)
		return -1;
	if (proc_spawn(&spec, &pid, pidfd, err) == 0)
		return 0;
	vm->helper.pid = 0; /* it never ran */
	return -1;
}

int boot_daemon(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct appear appear = { .b = b, .fd = inotify };
	_cleanup_close_ int pidfd = -1;
	struct watch *watch;
	char dir[PATH_MAX];
	int ret;

	if (snprintf(dir, sizeof(dir), "%s/" VM_DIR_VSOCK, vm->spec.dir) >= (int)sizeof(dir))
		return err_sys(err, ENAMETOOLONG, "%s", vm->spec.dir);
	if (inotify < 0 || inotify_add_watch(inotify, dir, IN_CREATE) < 0)
		return err_sys(err, errno, "watch %s", dir);
	if (spawn_daemon(b, dir, &pidfd, err) < 0)
		return -1;
	if (vm_watch_helper(vm, fcntl(pidfd, F_DUPFD_CLOEXEC, 3), err) < 0)
		return -1;
	watch = loop_add_fd(vm->loop, inotify, EPOLLIN, on_created, &appear, err);
	if (!watch)
		return -1;
	ret = boot_await(b, "vhost-device-vsock", err);
	loop_remove(watch);
	if (ret < 0)
		return -1;
	b->done = false;
	b->vsock = vsock_connect(vm->dirfd, vm->helper.pid, pidfd, err);
	return b->vsock < 0 ? -1 : 0;
}
