/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - PID 1 of a qemubox guest
 *
 * It makes the file systems, says hello to the host, becomes what the host's answer says, and then
 * serves containers until the host has it shut down. See qbx-init(8) and qemubox(7).
 *
 * From the first line on there is no way out: a PID 1 that ends is a kernel panic. What fails
 * before loop_run() is printed and ends the machine; what fails afterwards is the answer to the
 * call that asked for it, and init goes on. The kernel's OOM killer never picks PID 1, so nothing
 * is needed against it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "boot.h"
#include "init.h"
#include "io.h"
#include "log.h"

#define FILES_MAX 65536u

static int become(struct vm *vm, struct qbx_err *err)
{
	_cleanup_free_ char *cmdline = NULL;
	unsigned port;
	size_t len;
	Boot *boot;
	int rc;

	if (root_make(err) < 0 ||
	    io_read_file(AT_FDCWD, "/proc/cmdline", 65536, &cmdline, &len, err) < 0)
		return -1;
	port = cmdline_port(cmdline, err);
	vm->loop = port ? loop_new(err) : NULL;
	/* The doors stand before the hello: the host may dial as soon as it has heard us. */
	if (!vm->loop || child_start(vm, err) < 0 || door_open(vm, err) < 0)
		return -1;
	boot = hello(port, err);
	if (!boot)
		return -1;
	memcpy(vm->token, boot->token.data, sizeof(vm->token));
	rc = setup(boot, err);
	boot_free(boot);
	return rc < 0 ? -1 : io_mkdirs(BUNDLE_ROOT, 0711, err);
}

/* Descriptors for hundreds of processes and their streams. Containers keep the limit that there was. */
static int allow_files(struct vm *vm, struct qbx_err *err)
{
	const struct rlimit ours = { FILES_MAX, FILES_MAX };

	if (getrlimit(RLIMIT_NOFILE, &vm->files) < 0 || setrlimit(RLIMIT_NOFILE, &ours) < 0)
		return err_sys(err, errno, "allow for more descriptors");
	return 0;
}

/* PID 1 on an initramfs: what starts us anywhere else must not have its mounts turned over. */
static bool in_guest(void)
{
	struct statfs fs;

	return getpid() == 1 && statfs("/", &fs) == 0 &&
	       (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/*
 * What the host asks comes before what containers do: a guest that is busy still answers. What we start
 * begins like anybody: sched(7), "The reset-on-fork flag".
 */
static int come_first(struct qbx_err *err)
{
	const struct sched_param none = { 0 };

	if (setpriority(PRIO_PROCESS, 0, -20) < 0 ||
	    sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none) < 0)
		return err_sys(err, errno, "set the priority of PID 1");
	return 0;
}

int main(void)
{
	struct vm vm = { 0 };
	struct qbx_err err = { 0 };
	sigset_t all;

	if (!in_guest()) {
		fputs("qbx-init: only runs as process 1 of a guest, from its initramfs\n", stderr);
		return EX_USAGE;
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	umask(022);
	reboot(RB_DISABLE_CAD);
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (come_first(&err) < 0 || allow_files(&vm, &err) < 0 || become(&vm, &err) < 0 ||
	    loop_run(vm.loop, &err) < 0)
		die(&err);
	power_off();
}
