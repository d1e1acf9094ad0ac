/* SPDX-License-Identifier: Apache-2.0 */
/*
 * root.c - the guest's own file systems
 *
 * The kernel starts us on the initramfs, which is the one file system that pivot_root cannot leave.
 * So a tmpfs becomes the root, with the directories of the initramfs bound into it read-only:
 * nothing is copied, and crun finds its libraries where they were.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "init.h"
#include "io.h"
#include "log.h"

#define NEW_ROOT "/.root"

static const struct {
	const char *type, *target;
	unsigned long flags;
	const char *data;
} mounts[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666,gid=5" },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777" },
	{ "mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755" },
	{ "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "cgroup2", CGROUP_ROOT, MS_NOSUID | MS_NODEV | MS_NOEXEC,
	  "nsdelegate,memory_recursiveprot" },
};

static int make_dir(const char *path, struct qbx_err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "create directory %s", path);
	return 0;
}

static int do_mount(const char *source, const char *target, const char *type, unsigned long flags,
		    const char *data, struct qbx_err *err)
{
	if (make_dir(target, err) < 0)
		return -1;
	if (mount(source, target, type, flags, data) < 0)
		return err_sys(err, errno, "mount %s on %s", type ? type : source, target);
	return 0;
}

/* Descriptors 0, 1 and 2, which the kernel leaves closed when the initramfs has no console node. */
static int open_console(struct qbx_err *err)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open /dev/null");
	for (int to = 0; to <= 2; to++)
		if (to != fd && dup3(fd, to, O_CLOEXEC) < 0)
			return err_sys(err, errno, "open /dev/console");
	if (fd > 2)
		close(fd);
	return 0;
}

/* The initramfs' own mount points stay behind, as does the program that runs already. */
static bool stays_behind(const char *name)
{
	static const char *const names[] = { ".",   "..",  "dev",  "proc",	"sys",
					     "run", "tmp", "root", NEW_ROOT + 1 };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Show one entry of the initramfs' top directory in the new root. */
static int carry_over(const char *name, unsigned char type, struct qbx_err *err)
{
	char to[300], target[256];
	ssize_t n;

	snprintf(to, sizeof(to), NEW_ROOT "/%s", name);
	if (type == DT_DIR) {
		if (do_mount(name, to, NULL, MS_BIND, NULL, err) < 0)
			return -1;
		if (mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV, NULL) < 0)
			return err_sys(err, errno, "make %s read-only", to);
	} else if (type == DT_LNK) {
		n = readlink(name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (n < 0 || symlink(target, to) < 0)
			return err_sys(err, errno, "create symlink %s", to);
	}
	return 0;
}

static int carry_all(struct qbx_err *err)
{
	_cleanup_closedir_ DIR *d = opendir("/");
	struct dirent *e;

	if (!d)
		return err_sys(err, errno, "list the initramfs");
	while ((e = readdir(d)))
		if (!stays_behind(e->d_name) && carry_over(e->d_name, e->d_type, err) < 0)
			return -1;
	return 0;
}

/* The initial root is the current directory here. */
static int move_root(struct qbx_err *err)
{
	if (do_mount("tmpfs", NEW_ROOT, "tmpfs", MS_NODEV, "mode=755", err) < 0 ||
	    carry_all(err) < 0)
		return -1;
	if (make_dir(NEW_ROOT "/dev", err) < 0)
		return -1;
	if (mount("/dev", NEW_ROOT "/dev", NULL, MS_MOVE, NULL) < 0)
		return err_sys(err, errno, "move /dev");
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return err_sys(err, errno, "change the root");
	return make_dir("/etc", err);
}

/* Let containers have every controller that there is. */
static int enable_controllers(struct qbx_err *err)
{
	char text[512] = "", *save = NULL;
	_cleanup_free_ char *names = NULL;
	size_t len, used = 0;
	_cleanup_close_ int fd = -1;

	if (io_read_file(AT_FDCWD, CGROUP_ROOT "/cgroup.controllers", 400, &names, &len, err) < 0)
		return -1;
	for (char *n = strtok_r(names, " \n", &save); n; n = strtok_r(NULL, " \n", &save))
		used += (size_t)snprintf(text + used, sizeof(text) - used, "+%.32s ", n);
	fd = open(CGROUP_ROOT "/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || io_write_all(fd, text, used) < 0)
		return err_sys(err, errno, "enable cgroup controllers %s", text);
	return 0;
}

/*
 * Each box that idles wakes the host for nothing as often as its kernel looks whether there is something
 * to do: twice a second to compact memory before somebody needs large pages, once to add up statistics,
 * every five for each of two tables for neighbours of the kind NTF_MANAGED, which nobody here makes.
 */
static int make_quiet(struct qbx_err *err)
{
	static const struct {
		const char *path, *value;
	} settings[] = {
		{ "/proc/sys/vm/compaction_proactiveness", "0" },
		{ "/proc/sys/vm/stat_interval", "10" }, /* seconds */
		{ "/proc/sys/net/ipv4/neigh/default/interval_probe_time_ms", "3600000" },
		{ "/proc/sys/net/ipv6/neigh/default/interval_probe_time_ms", "3600000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		_cleanup_close_ int fd = open(settings[i].path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || io_write_all(fd, settings[i].value, strlen(settings[i].value)) < 0)
			return err_sys(err, errno, "set %s", settings[i].path);
	}
	return 0;
}

int root_make(struct qbx_err *err)
{
	if (do_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=755", err) < 0 ||
	    open_console(err) < 0)
		return -1;
	log_open("qbx-init", LOG_LEVEL_INFO, STDERR_FILENO);
	if (chdir("/") < 0)
		return err_sys(err, errno, "chdir /");
	if (move_root(err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if (do_mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			     mounts[i].data, err) < 0)
			return -1;
	return enable_controllers(err) < 0 ? -1 : make_quiet(err);
}
