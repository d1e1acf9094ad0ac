/* SPDX-License-Identifier: Apache-2.0 */
/* check_host.c - what the host's kernel offers beside KVM, and where boxes live */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "io.h"
#include "vm.h"

#define MOUNTINFO_MAX (16u << 20)
#define CONTROLLERS_MAX 4096u

static const char *const controllers[] = { "memory", "cpu", "pids" };

int check_device(const char *path, const char *module, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	int sys = errno;

	if (fd >= 0)
		return 0;
	err_sys(err, sys, "open %s", path);
	if (sys == EACCES || sys == EPERM)
		return err_hint(err, "as root");
	return err_hint(err, "modprobe %s; a kernel without that module cannot do it", module);
}

enum finding check_vhost_vsock(const struct config *cfg, char *detail, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	if (!strcmp(cfg->vsock, "vhost-user")) {
		snprintf(detail, CHECK_DETAIL_MAX, "not used: vsock is \"vhost-user\"");
		return FINDING_OK;
	}
	if (check_device("/dev/vhost-vsock", "vhost_vsock", err) == 0) {
		fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0) {
			snprintf(detail, CHECK_DETAIL_MAX, "/dev/vhost-vsock");
			return FINDING_OK;
		}
		err_sys(err, errno, "open a vsock socket");
		err_hint(err, "modprobe vsock");
	}
	return strcmp(cfg->vsock, "auto") ? FINDING_MISSING : FINDING_DEGRADED;
}

enum finding check_vhost_user(const struct config *cfg, char *detail, struct qbx_err *err)
{
	const char *program = vsock_argv()[0];
	char path[PATH_MAX];
	bool used;

	if (vsock_by_vhost_user(cfg, &used, err) < 0 || !used) {
		err_forget(err);
		snprintf(detail, CHECK_DETAIL_MAX, "not used: the kernel is to carry vsock");
		return FINDING_OK;
	}
	if (plan_find_program(path, program)) {
		snprintf(detail, CHECK_DETAIL_MAX, "%.400s carries vsock", path);
		return FINDING_OK;
	}
	err_code(err, EX_UNAVAILABLE, "%s is not in PATH", program);
	err_hint(err, "install it%s",
		 strcmp(cfg->vsock, "auto")
			 ? ""
			 : ", or have the kernel carry vsock: modprobe vhost_vsock");
	return FINDING_MISSING;
}

enum finding check_virtiofsd(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char path[PATH_MAX];

	(void)cfg;
	if (plan_find_virtiofsd(path, err) < 0)
		return FINDING_DEGRADED;
	snprintf(detail, CHECK_DETAIL_MAX, "%.400s shows boxes directories of the host", path);
	return FINDING_OK;
}

enum finding check_vhost_net(const struct config *cfg, char *detail, struct qbx_err *err)
{
	(void)cfg;
	if (check_device("/dev/vhost-net", "vhost_net", err) < 0) {
		err_wrap(err, "QEMU carries packets itself, which is slower");
		return FINDING_DEGRADED;
	}
	snprintf(detail, CHECK_DETAIL_MAX, "/dev/vhost-net");
	return FINDING_OK;
}

/*
 * Where the first cgroup2 of a mountinfo text is mounted. Format: proc_pid_mountinfo(5): the 5th field
 * is the mount point, the one after a lone "-" the type.
 */
static bool cgroup2_mount(const char *mountinfo, char path[PATH_MAX])
{
	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");
		_cleanup_free_ char *copy = strndup(line, len);
		char *dash = copy ? strstr(copy, " - cgroup2 ") : NULL;

		if (dash && sscanf(copy, "%*s %*s %*s %*s %4095s", path) == 1)
			return true;
		line += len + (line[len] == '\n');
	}
	return false;
}

/* Those of @wanted that are not among the words of @text, each with a blank before it. */
static void lacking(const char *text, const char *const *wanted, size_t n, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(wanted[i]);
		const char *p = text + strspn(text, " \n");

		while (*p && (strcspn(p, " \n") != len || strncmp(p, wanted[i], len) != 0)) {
			p += strcspn(p, " \n");
			p += strspn(p, " \n");
		}
		if (!*p)
			snprintf(out + strlen(out), size - strlen(out), " %s", wanted[i]);
	}
}

static int try_cgroup(char mount[PATH_MAX], struct qbx_err *err)
{
	_cleanup_free_ char *mounts = NULL, *have = NULL;
	char path[PATH_MAX + 32], lacks[64];
	size_t len;

	if (io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, &len, err) < 0)
		return -1;
	if (!cgroup2_mount(mounts, mount)) {
		err_code(err, EX_UNAVAILABLE, "no cgroup v2 is mounted");
		return err_hint(err, "boot with systemd.unified_cgroup_hierarchy=1");
	}
	snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
	if (io_read_file(AT_FDCWD, path, CONTROLLERS_MAX, &have, &len, err) < 0)
		return -1;
	lacking(have, controllers, ARRAY_SIZE(controllers), lacks, sizeof(lacks));
	if (lacks[0]) {
		err_code(err, EX_UNAVAILABLE, "cgroup v2 at %s lacks:%s", mount, lacks);
		return err_hint(err, "boot with systemd.unified_cgroup_hierarchy=1, if version 1 "
				     "has them");
	}
	if (access(mount, W_OK) < 0)
		return err_sys(err, errno, "make a cgroup in %s", mount);
	return 0;
}

enum finding check_cgroup(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char mount[PATH_MAX];

	(void)cfg;
	if (try_cgroup(mount, err) < 0) {
		err_wrap(err, "VMs are not limited as a whole");
		return FINDING_DEGRADED;
	}
	snprintf(detail, CHECK_DETAIL_MAX, "version 2 at %.400s with memory, cpu and pids", mount);
	return FINDING_OK;
}

enum finding check_run_dir(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char path[PATH_MAX], *slash;

	if (snprintf(path, sizeof(path), "%s", cfg->run_dir) >= (int)sizeof(path)) {
		err_sys(err, ENAMETOOLONG, "%s", cfg->run_dir);
		return FINDING_MISSING;
	}
	/* It is made when it is needed, so what counts is the first part of it that exists. */
	while (access(path, F_OK) < 0 && errno == ENOENT && (slash = strrchr(path, '/')))
		slash == path ? (slash[1] = '\0') : (*slash = '\0');
	if (access(path, W_OK | X_OK) == 0) {
		snprintf(detail, CHECK_DETAIL_MAX, "%.500s", cfg->run_dir);
		return FINDING_OK;
	}
	err_sys(err, errno, "make boxes in %s", cfg->run_dir);
	err_hint(err, "as root, or set run_dir, see qemubox.conf(5)");
	return FINDING_MISSING;
}
