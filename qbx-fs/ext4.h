/* SPDX-License-Identifier: Apache-2.0 */
/* ext4.h - empty ext4 file systems in files, made by mke2fs */
#ifndef QBX_EXT4_H
#define QBX_EXT4_H

#include "err.h"

struct cache;

/**
 * ext4_template() - have an empty file system of that size in the cache
 * @mib: size, at least CONFIG_WRITABLE_MIN_MIB
 * With --dry-run says how it would be made.
 * Return: its path, which the caller frees; NULL with @err.
 */
char *ext4_template(const struct cache *c, unsigned mib, struct qbx_err *err) _must_check_;

#endif
