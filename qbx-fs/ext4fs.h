/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4fs.h - read an ext4 file system that a guest has written
 *
 * Anything may be in it. Every number is checked before it is used, nothing is allocated by what it
 * says, and what is walked is bounded by who walks: a directory may hold itself. Only what ext4.c's
 * file systems have is understood, and only if it was unmounted, or frozen: its journal is not
 * read.
 *
 * Source of the format: the kernel's Documentation/filesystems/ext4/ and fs/ext4/ext4.h, xattr.h
 * and acl.h. Little endian.
 */
#ifndef QBX_EXT4FS_H
#define QBX_EXT4FS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define EXT4FS_BLOCK 4096u
#define EXT4FS_ROOT 2u
#define EXT4FS_INODE_LEN 256u
#define EXT4FS_NAME_MAX 255u
#define EXT4FS_XATTR_MAX 4096u	   /* bytes of a value */
#define EXT4FS_XATTR_NAME_MAX 300u /* with its prefix and NUL */

/** ext4fs_read_fn - all of @len bytes at @offset. Return: 0, or -1 with errno. */
typedef int ext4fs_read_fn(void *arg, uint64_t offset, void *buf, size_t len);

struct ext4fs {
	ext4fs_read_fn *read;
	void *arg;
	uint64_t blocks;
	uint32_t inodes, inodes_per_group;
	uint32_t desc_len; /* bytes of a group descriptor */
};

struct ext4fs_inode {
	uint32_t mode; /* as in struct stat */
	uint32_t uid, gid, links, flags;
	uint32_t major, minor; /* of a device */
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t xattr_block; /* or 0 */
	uint8_t raw[EXT4FS_INODE_LEN];
};

/** ext4fs_open() - read the superblock. Return: 0, or -1 with @err (EX_DATAERR). */
int ext4fs_open(struct ext4fs *fs, ext4fs_read_fn *read, void *arg,
		struct qbx_err *err) _must_check_;

/** ext4fs_inode() - read an inode that is in use. */
int ext4fs_inode(const struct ext4fs *fs, uint32_t number, struct ext4fs_inode *inode,
		 struct qbx_err *err) _must_check_;

/* Callbacks. Return: 0 to go on, or another value, which the caller of the walk returns. */
typedef int ext4fs_extent_fn(void *arg, uint64_t offset, uint64_t len, uint64_t at,
			     struct qbx_err *err);
typedef int ext4fs_entry_fn(void *arg, const char *name, uint32_t inode, struct qbx_err *err);
typedef int ext4fs_xattr_fn(void *arg, const char *name, const void *value, size_t len,
			    struct qbx_err *err);

/**
 * ext4fs_extents() - where the data of a file is: @offset and @len in bytes of it, @at in the image
 * In order, without holes and what reads as zeros, and up to the file's size. Return: 0, what @fn
 * has returned, or -1 with @err.
 */
int ext4fs_extents(const struct ext4fs *fs, const struct ext4fs_inode *inode, ext4fs_extent_fn *fn,
		   void *arg, struct qbx_err *err) _must_check_;

/** ext4fs_entries() - what is in a directory, but for "." and ".."; no name has a slash. */
int ext4fs_entries(const struct ext4fs *fs, const struct ext4fs_inode *dir, ext4fs_entry_fn *fn,
		   void *arg, struct qbx_err *err) _must_check_;

/** ext4fs_xattrs() - extended attributes as getxattr(2) has them, access control lists too. */
int ext4fs_xattrs(const struct ext4fs *fs, const struct ext4fs_inode *inode, ext4fs_xattr_fn *fn,
		  void *arg, struct qbx_err *err) _must_check_;

/** ext4fs_target() - of a symbolic link, with a NUL behind it. */
int ext4fs_target(const struct ext4fs *fs, const struct ext4fs_inode *inode,
		  char target[EXT4FS_BLOCK], struct qbx_err *err) _must_check_;

#endif
