/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c - system calls that a helper beside QEMU has no use for
 *
 * QEMU filters itself by -sandbox. For a program that does not, this refuses what would matter to
 * somebody who has taken it over: other processes, other namespaces, the kernel's larger interfaces,
 * and sockets other than Unix ones. The rest is left to the lack of capabilities and of files.
 * Source of the format: seccomp(2), and linux/filter.h.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "confine.h"

static const unsigned refused[] = {
	/* other processes */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kcmp,
	SYS_pidfd_getfd,
	SYS_pidfd_open,
	SYS_process_madvise,
	/* namespaces and mounts */
	SYS_unshare,
	SYS_setns,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	/* the kernel */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_syslog,
	SYS_quotactl,
	SYS_acct,
	SYS_swapon,
	SYS_swapoff,
	SYS_reboot,
	SYS_iopl,
	SYS_ioperm,
	SYS_modify_ldt,
	SYS_personality,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
/* What follows is done if the value is that; else it is jumped over. */
#define IF_EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1)
#define UNLESS_EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0)

#define X32_BIT 0x40000000u

int filter_self(void)
{
	struct sock_filter code[16 + 2 * ARRAY_SIZE(refused)] = {
		LOAD(arch),
		UNLESS_EQUAL(AUDIT_ARCH_X86_64),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
		REFUSE,
	};
	struct sock_fprog program = { .filter = code };
	unsigned short n = 6;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		code[n++] = (struct sock_filter)IF_EQUAL(refused[i]);
		code[n++] = (struct sock_filter)REFUSE;
	}
	/* socket(AF_UNIX) alone; the family is its first argument */
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3);
	code[n++] = (struct sock_filter)LOAD(args[0]);
	code[n++] = (struct sock_filter)UNLESS_EQUAL(AF_UNIX);
	code[n++] = (struct sock_filter)REFUSE;
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	program.len = n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
