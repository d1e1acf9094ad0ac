/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writable.h - what a container writes to
 *
 * Theory of Operation
 *
 * A disk with an ext4 file system, in a sparse file that takes room on the host only for what was
 * written. The file is a copy of an empty one of the same size, which mke2fs made once and the
 * cache keeps, so that no container waits for mke2fs.
 *
 * Where the root file system has an upper directory on the host, as containerd's snapshots have,
 * the file lies beside it under its name and ".ext4": in a directory that is the snapshot's alone,
 * and goes with it. What containerd counts, compares and commits is the upper directory itself.
 * Elsewhere the file is the box's, in state_dir/writable, and release removes it.
 *
 * Only guests mount it. What a guest has written there may be anything, so nothing on the host
 * looks into it. The file system has a journal: a guest that was killed leaves one that the next
 * guest's kernel puts in order as it mounts it.
 */
#ifndef QBX_WRITABLE_H
#define QBX_WRITABLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "box.h"
#include "err.h"
#include "sha256.h"

#define WRITABLE_SERIAL "rw"
#define WRITABLE_ID_LEN 32u /* hexadecimal digits */

struct cache;

struct writable {
	bool disk;    /* else a tmpfs in the guest */
	bool kept;    /* the disk's file is the upper directory's, and not the box's */
	unsigned mib; /* size; 0: what a tmpfs has by itself */
	char *path;   /* of the disk's file; absolute, owned */
	char *upper;  /* the upper directory on the host, or NULL; owned */
	/* The file is there and kept, and is to be made anew while its writable_state() is that. */
	bool renew;
	char state[SHA256_HEX_LEN + 1];
	bool root;    /* the next three are those of a directory of the host's */
	/* What the root directory is to be when the guest makes the upper directory. */
	mode_t mode; /* permission bits */
	uid_t uid;
	gid_t gid;
};

/**
 * writable_upper() - the upper directory that the document's root file system has on the host
 * @upper: set to its path, which the caller frees, or NULL
 */
int writable_upper(const struct box *box, char **upper, struct qbx_err *err) _must_check_;

/**
 * writable_choose() - what the document and the configuration ask for; touches nothing
 * @readonly: nothing will be written, so there is no disk
 * Return: 0 with @w filled, for writable_free(), or -1 with @err.
 */
int writable_choose(struct writable *w, const struct config *cfg, const struct box *box,
		    bool readonly, struct qbx_err *err) _must_check_;

/**
 * writable_given() - an ext4 image of somebody else's, who keeps it: containerd's snapshotter has made it
 * @path: of a regular file, and no symbolic link; it must be there
 */
int writable_given(struct writable *w, const char *path, bool readonly,
		   struct qbx_err *err) _must_check_;

/**
 * writable_make() - have the disk's file, if there is to be one; with --dry-run say how
 * One beside an upper directory stays as it is, unless @w says otherwise. One of a box is made anew:
 * what an earlier box of that name has left is not this one's.
 * Return: 0, or -1 with @err and no file that is half made.
 */
int writable_make(const struct writable *w, const struct cache *c,
		  struct qbx_err *err) _must_check_;

/**
 * writable_id() - the number that a disk's file got when it was made, which no other has
 * A random one, in an attribute; one that was made by an older version has none, nor has one where the
 * file system keeps no attributes.
 * Return: true with @id set.
 */
bool writable_id(int fd, char id[WRITABLE_ID_LEN + 1]);

/** writable_name() - the same, and give it one if it has none. Return: 0, or -1 with @err. */
int writable_name(int fd, const char *path, char id[WRITABLE_ID_LEN + 1],
		  struct qbx_err *err) _must_check_;

/**
 * writable_state() - a digest that changes when a guest writes to the disk
 * Of the file's size and time, and of the superblock, which each mounting and unmounting changes. Its
 * bytes are compared, and not understood.
 */
int writable_state(int fd, const char *path, char hex[SHA256_HEX_LEN + 1],
		   struct qbx_err *err) _must_check_;

/** writable_release() - remove the box's own file; absent is as good. Return: 0, or -1 with @err. */
int writable_release(const struct config *cfg, const struct box *box,
		     struct qbx_err *err) _must_check_;

void writable_free(struct writable *w);

#endif
