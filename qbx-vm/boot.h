/* SPDX-License-Identifier: Apache-2.0 */
/* boot.h - a VM that is being started: private to boot.c and the files that it has its parts from */
#ifndef QBX_VM_BOOT_H
#define QBX_VM_BOOT_H

#include "vm.h"

/* What is only held while the VM starts. */
struct boot {
	struct vm *vm;
	int lock;
	int listener; /* where the guest dials */
	int vsock;    /* for QEMU: the daemon's connection, or /dev/vhost-vsock */
	int netns;
	int *fds; /* by their number in QEMU, -1 where there is none; owned */
	int nfds;
	struct greet *greet;
	struct watch *deadline;
	bool done, timed_out;
	struct qbx_err err; /* of the greeting */
};

/* ---- boot.c ---- */

/**
 * boot_await() - run the loop until boot_finished(), or until something is in the way of that
 * @what: for the error when it takes too long
 */
int boot_await(struct boot *b, const char *what, struct qbx_err *err) _must_check_;

/** boot_finished() - what boot_await() waits for is there. */
void boot_finished(struct boot *b);

/* ---- descriptors.c ---- */

/** boot_create_log() - an empty file, 0600, appended to. Return: descriptor, or -1 with @err. */
int boot_create_log(int dirfd, const char *name, struct qbx_err *err) _must_check_;

/** boot_open_all() - all that can be opened before anything runs, into @b. */
int boot_open_all(struct boot *b, struct qbx_err *err) _must_check_;

/* ---- daemon.c ---- */

/** boot_daemon() - start vhost-device-vsock and connect to it; sets b->vsock. */
int boot_daemon(struct boot *b, struct qbx_err *err) _must_check_;

/* ---- share.c ---- */

/** boot_share() - start virtiofsd with a connection for QEMU, where there are shares. */
int boot_share(struct boot *b, struct qbx_err *err) _must_check_;

/* ---- qemu.c ---- */

/** boot_qemu() - start QEMU with all that @b has open. */
int boot_qemu(struct boot *b, struct qbx_err *err) _must_check_;

#endif
