/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h - a container's root file system, mounted as the host says */
#ifndef QBX_INIT_ROOTFS_H
#define QBX_INIT_ROOTFS_H

#include "init.h"

#define ROOTFS_MOUNTS_MAX 600u /* 500 layers, and what goes with them */

/**
 * rootfs_mount() - do the mounts of a Create, in order, below a bundle
 * @bundle: absolute path of the bundle, which nobody else can write to
 * What was mounted when one fails stays, for rootfs_unmount().
 */
int rootfs_mount(const char *bundle, Qemubox__Task__Mount *const *mounts, size_t n,
		 struct qbx_err *err) _must_check_;

/** rootfs_unmount() - unmount all that is mounted below @bundle, last first */
int rootfs_unmount(const char *bundle, struct qbx_err *err) _must_check_;

/* disk.c */

#define DISK_PATH_MAX 300u

/**
 * disk_find() - the block device of a disk, or of a part of it, which is made if it is not there
 * @name: as disk_name_parse() takes it
 * @path: set to its path in /dev
 */
int disk_find(const char *name, char path[DISK_PATH_MAX], struct qbx_err *err) _must_check_;

#endif
