/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.c - what a program that serves a guest is shut into
 *
 * Theory of Operation
 *
 * confine_self() runs in the child, which is still root and sees all of the host. It takes copies of
 * the mounts that the program is to see, makes a tmpfs, attaches them there and makes it the root;
 * the old one is gone then. As it is a mount namespace of the child's own, none of that is seen by
 * others, and all of it goes with the last process in it: nothing has to be cleared up.
 *
 * Then it becomes another user and gives up every capability, also those that a program could get by
 * exec; or it stays root with the few that it is for. Descriptors that it has inherited stay: they are how disks, TAPs and sockets come in.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "log.h"

static const struct part {
	enum confine_part part;
	const char *word, *means;
} parts[] = {
	{ CONFINE_UID, "uid", "the VM's processes are root's" },
	{ CONFINE_MOUNTS, "mounts", "the VM's processes see the host's files" },
	{ CONFINE_CGROUP, "cgroup", "the host sets the VM no limit" },
	{ CONFINE_SECCOMP, "seccomp", "the VM's processes can make every system call" },
};

unsigned confine_relaxed(const char *relax)
{
	unsigned relaxed = 0;

	for (const char *p = relax; *p; p += strspn(p, ", ")) {
		size_t len = strcspn(p, ", ");

		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			if (strlen(parts[i].word) == len && !memcmp(parts[i].word, p, len))
				relaxed |= parts[i].part;
		p += len;
	}
	return relaxed;
}

void confine_warn(unsigned relaxed, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (relaxed & parts[i].part)
			log_warn("box %s: relax %s: %s", key, parts[i].word, parts[i].means);
}

/* ---- what it sees ---- */

/* Is @path the directory @dir, or below it? */
static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '/' || path[len] == '\0');
}

int confine_bind(struct confine *c, const char *path, const char *at, enum confine_access access,
		 struct qbx_err *err)
{
	struct confine_bind *b = &c->binds[c->nbinds];
	struct stat st;

	for (size_t i = 0; i < c->nbinds; i++)
		if (is_below(path, c->binds[i].path) && !at && access != CONFINE_WRITE)
			return 0;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at %s", path);
	if (c->nbinds == CONFINE_BINDS_MAX)
		BUG("too many binds");
	b->path = strdup(path);
	if (!b->path)
		return err_sys(err, ENOMEM, "confine");
	b->at = at;
	b->access = access;
	c->nbinds++;
	return 0;
}

/* Where the dynamic linker finds libraries, and programs their data. */
static const char *const system_dirs[] = {
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
};

int confine_program(struct confine *c, const char *program, struct qbx_err *err)
{
	static const char *const beside[] = { "lib", "lib64", "share/qemu", "share/seabios" };
	const char *slash = strrchr(program, '/');
	char path[PATH_MAX];
	int len = (int)(slash - program);

	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (confine_bind(c, system_dirs[i], NULL, CONFINE_RUN, err) < 0)
			return -1;
	if (confine_bind(c, "/etc/ld.so.cache", NULL, CONFINE_READ, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "%.*s", len, program);
	if (confine_bind(c, len ? path : program, NULL, CONFINE_RUN, err) < 0)
		return -1;
	if (len < 4 || memcmp(slash - 4, "/bin", 4) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		snprintf(path, sizeof(path), "%.*s%s", len - 3, program, beside[i]);
		if (confine_bind(c, path, NULL, CONFINE_RUN, err) < 0)
			return -1;
	}
	return 0;
}

void confine_free(struct confine *c)
{
	for (size_t i = 0; i < c->nbinds; i++)
		free(c->binds[i].path);
	for (size_t i = 0; i < c->ntrees; i++)
		close(c->trees[i].fd);
	c->nbinds = c->ntrees = 0;
}

/* ---- the root ---- */

/* The directories that lead to @path, which is absolute, below the current one. */
static int make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path - 1), path + 1);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

/* Whatever it was mounted as, and all that is mounted below it. */
static int restrict_tree(int tree, enum confine_access access)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

	if (access != CONFINE_WRITE)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	if (access != CONFINE_RUN)
		attr.attr_set |= MOUNT_ATTR_NOEXEC;
	attr.propagation = MS_PRIVATE;
	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

/* A copy of the mounts at @b->path, that only a descriptor leads to yet. */
static int copy_tree(const struct confine_bind *b)
{
	_cleanup_close_ int tree =
		open_tree(AT_FDCWD, b->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return tree < 0 || restrict_tree(tree, b->access) < 0 ? -1 : take_fd(&tree);
}

/* Put it where it belongs, below the current directory. */
static int attach(const char *path, int tree)
{
	struct stat st;
	int ret;

	if (make_parents(path) < 0 || fstat(tree, &st) < 0)
		return -1;
	ret = S_ISDIR(st.st_mode) ? mkdir(path + 1, 0755) : mknod(path + 1, S_IFREG | 0444, 0);
	if (ret < 0 && errno != EEXIST)
		return -1;
	return move_mount(tree, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH);
}

/* On a system with /usr merged, /lib and its like are symlinks into it. */
static int copy_symlink(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return make_parents(path) < 0 ? -1 : symlink(target, path + 1);
}

static bool is_symlink(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static int make_node(const char *path, mode_t mode, dev_t dev, unsigned uid)
{
	return mknod(path, S_IFCHR | mode, dev) < 0 ? -1 : chown(path, uid, uid);
}

/* Devices of its own: no group has to be joined to use them. */
static int make_dev(const struct confine *c)
{
	unsigned uid = c->relaxed & CONFINE_UID ? 0 : c->uid;
	struct stat st;

	if (mkdir("dev", 0755) < 0 ||
	    mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") < 0 ||
	    make_node("dev/null", 0666, makedev(1, 3), 0) < 0 ||
	    make_node("dev/urandom", 0444, makedev(1, 9), 0) < 0)
		return -1;
	if (c->kvm &&
	    (stat("/dev/kvm", &st) < 0 || make_node("dev/kvm", 0600, st.st_rdev, uid) < 0))
		return -1;
	return mount(NULL, "dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC,
		     NULL);
}

/* All of it is there: it becomes the root, and the host's goes. */
static const char *enter_root(const struct confine *c)
{
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return "enter its root directory";
	if (umount2(".", MNT_DETACH) < 0)
		return "leave the host's root directory";
	if (chdir("/") < 0 ||
	    mount(NULL, "/", NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return "make its root directory read-only";
	return chdir(c->cwd ? c->cwd : "/") < 0 ? "enter its working directory" : NULL;
}

static const char *fill_root(const struct confine *c, int trees[])
{
	for (size_t i = 0; i < c->nbinds; i++) {
		const struct confine_bind *b = &c->binds[i];

		if (trees[i] >= 0 && attach(b->at ? b->at : b->path, trees[i]) < 0)
			return b->path;
	}
	for (size_t i = 0; i < c->ntrees; i++) {
		const struct confine_tree *t = &c->trees[i];

		if (restrict_tree(t->fd, t->readonly ? CONFINE_READ : CONFINE_WRITE) < 0 ||
		    attach(t->at, t->fd) < 0)
			return t->at;
	}
	return make_dev(c) < 0 ? "make its /dev" : enter_root(c);
}

static const char *make_root(const struct confine *c)
{
	int trees[CONFINE_BINDS_MAX];

	umask(0);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "make a mount namespace";
	/* These first: the new root hides what it is mounted over. */
	for (size_t i = 0; i < c->nbinds; i++) {
		const struct confine_bind *b = &c->binds[i];

		trees[i] = is_symlink(b->path) ? -1 : copy_tree(b);
		if (trees[i] < 0 && !is_symlink(b->path))
			return b->path;
	}
	if (mount("tmpfs", c->over, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=256k") < 0 ||
	    chdir(c->over) < 0)
		return "mount its root directory";
	for (size_t i = 0; i < c->nbinds; i++)
		if (trees[i] < 0 && copy_symlink(c->binds[i].path) < 0)
			return c->binds[i].path;
	return fill_root(c, trees);
}

/* ---- the user ---- */

static int drop_capabilities(uint64_t but)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = { 0 };

	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		kept[i].effective = kept[i].permitted = (uint32_t)(but >> 32 * i);
	return (int)syscall(SYS_capset, &header, kept);
}

static int drop_bounding_set(uint64_t but)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(but >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -1;
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* No group, but the one of a /dev/kvm that is the host's, to which nothing else leads. */
static int leave_groups(const struct confine *c)
{
	struct stat st;

	if (!c->kvm || !(c->relaxed & CONFINE_MOUNTS) || stat("/dev/kvm", &st) < 0 || !st.st_gid)
		return setgroups(0, NULL);
	return setgroups(1, &st.st_gid);
}

static const char *become(const struct confine *c)
{
	static const struct rlimit no_core = { 0, 0 };

	umask(077);
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return "forbid core dumps";
	if (drop_bounding_set(c->capabilities) < 0)
		return "drop the bounding set";
	if (leave_groups(c) < 0)
		return "leave its groups";
	if (!(c->relaxed & CONFINE_UID) && !c->capabilities &&
	    (setresgid(c->uid, c->uid, c->uid) < 0 || setresuid(c->uid, c->uid, c->uid) < 0))
		return "become its user";
	if (drop_capabilities(c->capabilities) < 0)
		return "drop its capabilities";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return "forbid new privileges";
	return NULL;
}

const char *confine_self(void *arg)
{
	const struct confine *c = arg;
	const char *failed = c->relaxed & CONFINE_MOUNTS ? NULL : make_root(c);

	if (!failed)
		failed = become(c);
	if (!failed && c->filter && !(c->relaxed & CONFINE_SECCOMP) && filter_self() < 0)
		failed = "filter its system calls";
	return failed;
}

const char *const *confine_env(void)
{
	static char path[5 + PATH_MAX];
	static const char *const env[] = { path, NULL };
	const char *ours = getenv("PATH");

	snprintf(path, sizeof(path), "PATH=%s", ours ? ours : "/usr/sbin:/usr/bin:/sbin:/bin");
	return env;
}
