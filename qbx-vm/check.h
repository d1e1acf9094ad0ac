/* SPDX-License-Identifier: Apache-2.0 */
/* check.h - what qbx-vm check looks at, and how it tells what it saw */
#ifndef QBX_VM_CHECK_H
#define QBX_VM_CHECK_H

#include "config.h"
#include "err.h"

#define CHECK_DETAIL_MAX 512u

/* Degraded: a box can be run, but with less. Missing: it cannot, with the present configuration. */
enum finding { FINDING_OK, FINDING_DEGRADED, FINDING_MISSING };

/**
 * check_fn - look at one thing, and change nothing
 * @detail: CHECK_DETAIL_MAX bytes, empty; filled when all is well
 * Return: FINDING_OK, or another one with @err: what is wrong, why, and what to do about it. Its code
 * is EX_NOPERM where permissions are the reason.
 */
typedef enum finding check_fn(const struct config *cfg, char *detail, struct qbx_err *err);

check_fn check_kvm;					       /* check_kvm.c */
check_fn check_vhost_vsock, check_vhost_user, check_vhost_net; /* check_host.c */
check_fn check_cgroup, check_run_dir, check_virtiofsd;	       /* check_host.c */
check_fn check_guest;					       /* check_guest.c */
check_fn check_qemu;					       /* check_qemu.c */
check_fn check_cni;					       /* check_cni.c */

/**
 * check_device() - open a device and close it again
 * @module: the kernel module that makes it
 * Return: 0, or -1 with @err and its hint.
 */
int check_device(const char *path, const char *module, struct qbx_err *err) _must_check_;

/**
 * check_command() - the output of a command that only says something of itself
 * Bounded in time and size. A non-zero exit status is an error, with the command's last line.
 * Return: malloc'ed text, or NULL with @err.
 */
char *check_command(const char *const *argv, struct qbx_err *err) _must_check_;

#endif
