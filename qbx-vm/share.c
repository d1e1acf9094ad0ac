/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.c - directories of the host in the guest, by one virtiofsd
 *
 * Theory of Operation
 *
 * virtiofsd shows one directory. Here that is one in a root of its own, confine.h, in which the
 * directories that the box was given are mounted as 0, 1, 2 …, and nothing else is: those that are
 * read-only so that nothing can write through that mount, whoever asks. What is mounted is what
 * qbx-fs looked at: its mounts are taken (open_tree(2)) by us, and only if device and inode number are
 * the same.
 *
 * In there virtiofsd makes its own sandbox: namespaces for mounts, processes and the network, that
 * directory as the root, a filter of system calls. Its first process waits for the one inside that,
 * which gives up what only the making of the sandbox was for.
 *
 * It is root, as files have owners, and has the capabilities to act for them, but none to make device
 * nodes or to set a file's capabilities: they would count on the host.
 *
 * We listen for it and connect to it before it runs, so that nobody has to wait for anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "boot.h"
#include "volumes.h"

#define FILES 1000000u /* descriptors: one for each inode that the guest has in its cache */

/* Those for its sandbox, and those that it keeps. */
#define BIT(cap) (1ull << (cap))
#define FOR_SANDBOX (BIT(CAP_SYS_ADMIN) | BIT(CAP_SETPCAP))
#define FOR_FILES                                                                     \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | \
	 BIT(CAP_SETGID) | BIT(CAP_SETUID))

/* ---- what it is shown ---- */

static int stale(const struct volume *v, struct qbx_err *err)
{
	err_code(err, EX_UNAVAILABLE, "volume %.200s: %.300s is not what it was", v->destination,
		 v->source);
	return err_hint(err, "it was replaced after qbx-fs prepare had looked at it");
}

/* The mounts there, taken out of sight. Return: descriptor, or -1 with @err. */
static int take_tree(const struct volume *v, struct qbx_err *err)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, v->source, &how, sizeof(how));
	_cleanup_close_ int tree = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "volume %.200s: open %.300s", v->destination, v->source);
	if (st.st_dev != v->dev || st.st_ino != v->ino)
		return stale(v, err);
	tree = open_tree(fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				 (v->recursive ? AT_RECURSIVE : 0u));
	if (tree < 0)
		return err_sys(err, errno, "volume %.200s: take the mount of %.300s",
			       v->destination, v->source);
	return take_fd(&tree);
}

static int take_trees(struct confine *c, const struct vm_spec *spec, struct qbx_err *err)
{
	for (; c->ntrees < spec->nshares; c->ntrees++) {
		struct confine_tree *t = &c->trees[c->ntrees];
		const struct volume *v = &spec->shares[c->ntrees];

		snprintf(t->at, sizeof(t->at), "/%s", v->path);
		t->readonly = v->readonly;
		t->fd = take_tree(v, err);
		if (t->fd < 0)
			return -1;
	}
	return 0;
}

/* ---- the process ---- */

/* Written down before it runs: whatever becomes of this process, `stop` finds it. */
static int record_share(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->share) < 0)
		return err_sys(err, errno, "identify virtiofsd");
	if (vm_record(vm, err) < 0)
		return -1;
	return vm->spec.cgroup[0] ? cgroup_enter(vm->spec.cgroup, pid, err) : 0;
}

/* As many files as it may have: more than that is not ours to give where the host has a bound. */
static const char *confine_share(void *arg)
{
	struct rlimit files = { FILES, FILES };

	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return confine_self(arg);
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return "see how many files it may have";
	files.rlim_cur = files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? "allow it many files" : confine_self(arg);
}

static int spawn(struct vm *vm, struct confine *confine, int listener, struct qbx_err *err)
{
	_cleanup_close_ int log = boot_create_log(vm->dirfd, VM_FILE_SHARE_LOG, err);
	struct proc_fd fds[] = { { log, 1 }, { log, 2 }, { listener, VM_FD_LISTEN } };
	struct proc_spec spec = {
		.argv = virtiofsd_argv(&vm->spec),
		.envp = confine_env(),
		.cwd = "/",
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
		.netns = -1,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_share,
		.born_arg = vm,
		.confine = confine_share,
		.confine_arg = confine,
	};
	int pidfd;
	pid_t pid;

	if (log < 0)
		return -1;
	if (proc_spawn(&spec, &pid, &pidfd, err) == 0)
		return vm_watch_share(vm, pidfd, err);
	vm->share.pid = 0; /* it never ran */
	return -1;
}

/* A connection that waits to be accepted. Return: descriptor for QEMU, or -1 with @err. */
static int connect_to(int dirfd, int *listener, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	*listener = unix_listen(dirfd, VM_FILE_SHARE, err);
	if (*listener < 0)
		return -1;
	fd = unix_connect(dirfd, VM_FILE_SHARE);
	if (fd < 0)
		return err_sys(err, errno, "connect to " VM_FILE_SHARE);
	if (unlinkat(dirfd, VM_FILE_SHARE, 0) < 0)
		return err_sys(err, errno, "remove " VM_FILE_SHARE);
	return take_fd(&fd);
}

int boot_share(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_(confine_free) struct confine confine = {
		/* Without a root of its own there would be nothing for it to show. */
		.relaxed = vm->spec.relaxed & ~(unsigned)CONFINE_MOUNTS,
		.capabilities = FOR_SANDBOX | FOR_FILES,
		.over = vm->spec.dir,
	};
	_cleanup_close_ int listener = -1;
	char program[PATH_MAX];
	int *fd = &b->fds[vm_share_fd(&vm->spec)];

	if (!realpath(vm->spec.virtiofsd, program))
		return err_sys(err, errno, "find %s", vm->spec.virtiofsd);
	if (take_trees(&confine, &vm->spec, err) < 0 ||
	    confine_program(&confine, program, err) < 0 ||
	    confine_bind(&confine, "/proc", NULL, CONFINE_READ, err) < 0)
		return -1;
	*fd = connect_to(vm->dirfd, &listener, err);
	return *fd < 0 ? -1 : spawn(vm, &confine, listener, err);
}
