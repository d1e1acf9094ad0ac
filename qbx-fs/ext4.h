/* SPDX-License-Identifier: Apache-2.0 */
/* ext4.h - empty ext4 file systems in files, made by mke2fs */
#ifndef QBX_EXT4_H
#define QBX_EXT4_H

#include "err.h"

#define EXT4_PREFIX "ext4-" /* of their names in the cache */
#define EXT4_NAME_MAX 48u

struct cache;

/**
 * ext4_template() - have an empty file system of that size in the cache
 * @mib: size, at least CONFIG_WRITABLE_MIN_MIB
 * With --dry-run says how it would be made.
 * Return: its path, which the caller frees; NULL with @err.
 */
char *ext4_template(const struct cache *c, unsigned mib, struct qbx_err *err) _must_check_;

/** ext4_name() - what it is called in the cache */
void ext4_name(char name[EXT4_NAME_MAX], unsigned mib);

#endif
