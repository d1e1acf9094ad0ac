/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - what a container has written, from its disk to an upper directory of the host's
 *
 * Theory of Operation
 *
 * Two processes. The reader has the disk's file and one end of a pipe, and nothing else: another
 * user, no capability, and the few system calls that reading and writing take. It decodes the file
 * system and sends the tree as records. The writer is root, makes of each record what it says, and
 * believes none: a guest that has taken the reader over could send what it likes, and that would be
 * what it could as well have written to its disk. Each name is one component below a directory that
 * the writer has itself made, and no symbolic link is followed.
 *
 * The tree is written beside the upper directory and takes its place when it is whole. Where it is not
 * the only layer of the container's own, it is written on top of a copy of what is below it: base.h.
 *
 * Of what overlayfs in the guest notes for itself only what makes a directory opaque is kept, and
 * whiteouts, which are devices: the rest refers to the guest's own lower directories.
 */
#ifndef QBX_TREE_H
#define QBX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "ext4fs.h"

#define TREE_DEPTH_MAX 400u
#ifndef TREE_ENTRIES_MAX /* fewer in a fuzz target, which has less time */
#define TREE_ENTRIES_MAX (4u << 20)
#endif
#define TREE_CHUNK_MAX 65536u
#define TREE_XATTRS_MAX 64u

/*
 * Records: this head, then @name_len bytes, then @len bytes. A file's data and everything's
 * attributes follow it before anything else does; TREE_UP leaves a directory.
 */
enum tree_type {
	TREE_DIR = 1, /* the first one is the root, and has no name */
	TREE_UP,
	TREE_FILE,
	TREE_SYMLINK, /* data: its target */
	TREE_NODE,    /* device, FIFO or socket */
	TREE_LINK,    /* another name for the file with that @id */
	TREE_XATTR,   /* @name: the attribute's; data: its value */
	TREE_DATA,    /* at @size of the last file */
	TREE_END,     /* the whole tree was sent */
	TREE_FAILED,  /* data: why, as text */
};

struct tree_head {
	uint32_t type, mode, uid, gid, major, minor;
	uint32_t mtime_ns, name_len, len;
	uint32_t id; /* of a file with several names, else 0 */
	uint64_t size;
	int64_t mtime;
};

/* One record, decoded; the buffers are its own. */
struct tree_record {
	struct tree_head h;
	char name[EXT4FS_XATTR_NAME_MAX];
	uint8_t data[TREE_CHUNK_MAX + 1]; /* with a NUL behind */
};

/** tree_check_head() - may a record with that head be acted on? Return: 0, or -1 with @err. */
int tree_check_head(const struct tree_head *h, struct qbx_err *err) _must_check_;

/** tree_check() - the same of the whole of it. */
int tree_check(const struct tree_record *r, struct qbx_err *err) _must_check_;

/* Where records go. Return: 0, or -1 with errno. */
typedef int tree_send_fn(void *arg, const struct tree_head *h, const char *name,
			  const void *data);

/**
 * tree_read() - send what is in the directory "upper" of a file system
 * @bytes_max: of data, in all; a file system that claims to hold more is damaged
 */
int tree_read(const struct ext4fs *fs, uint64_t bytes_max, tree_send_fn *send, void *arg,
	       struct qbx_err *err) _must_check_;

/** tree_reader() - what the reader's process does with the disk's file and the pipe's end. */
_Noreturn void tree_reader(int from, int pipe, uint64_t bytes_max);

struct tree_writer;

/**
 * tree_writer_new() - write into @dirfd, a new directory, which is borrowed
 * What is in it, an upper directory's content, is taken for what is below the tree: the two become one.
 * Return: NULL with @err.
 */
struct tree_writer *tree_writer_new(int dirfd, uint64_t bytes_max,
				      struct qbx_err *err) _must_check_;

/* Is there anything at @path, which is relative, in the layers that the upper directory is above? */
typedef bool tree_below_fn(const void *arg, const char *path);

/**
 * tree_writer_below() - ask before a whiteout takes the place of what the directory had
 * One that hides nothing else is not made: overlayfs would list its name where nothing is below.
 */
void tree_writer_below(struct tree_writer *w, tree_below_fn *fn, const void *arg);

/** tree_write() - act on one record. Return: 1 to go on, 0 at the end, or -1 with @err. */
int tree_write(struct tree_writer *w, const struct tree_record *r,
		struct qbx_err *err) _must_check_;

void tree_writer_free(struct tree_writer *w); /* NULL is allowed */

#endif
