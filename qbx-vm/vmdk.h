/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmdk.h - the description of a disk that is made of several files
 *
 * The description that qbx-fs makes names its extents by path. QEMU, which may open nothing, is
 * given each as a descriptor, and a description that names those instead.
 * Source of the format: VMware's Virtual Disk Format 1.1, as far as QEMU's block/vmdk.c reads it.
 */
#ifndef QBX_VM_VMDK_H
#define QBX_VM_VMDK_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define VMDK_EXTENTS_MAX 512u

struct vmdk_extent {
	uint64_t sectors, offset; /* of 512 bytes */
	char *path;		  /* absolute */
};

struct vmdk {
	size_t n;
	struct vmdk_extent v[VMDK_EXTENTS_MAX];
};

/**
 * vmdk_parse() - the extents of a description
 * Only flat extents, and no parent: nothing else is made, and nothing else could be opened.
 * @text: NUL-terminated
 * Return: for vmdk_free(), or NULL with @err (EX_DATAERR).
 */
struct vmdk *vmdk_parse(const char *text, struct qbx_err *err) _must_check_;

/** vmdk_read() - vmdk_parse() of a file. */
struct vmdk *vmdk_read(const char *path, struct qbx_err *err) _must_check_;

/**
 * vmdk_rewrite() - a description of the same disk whose extents are QEMU's fdsets
 * @first: the set of the first extent; the others follow
 * Return: malloc'ed text, or NULL.
 */
char *vmdk_rewrite(const struct vmdk *d, int first) _must_check_;

void vmdk_free(struct vmdk *d); /* NULL is allowed */

#endif
