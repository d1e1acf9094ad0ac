/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - what the files of qbx-fs share
 *
 * Theory of Operation
 *
 * Whatever a root file system is given as becomes a list of layers: EROFS images in files, the base
 * first. One layer is a disk as it is. Of several, mkfs.erofs makes one more image that holds their
 * merged metadata only, and a VMDK description lines that image and the layers up as one disk, so
 * that any number of layers takes one of the few disk slots of a microvm. Layers that mkfs.erofs
 * does not merge are lined up likewise, without the metadata, and the guest, which is told where each
 * begins, mounts them one by one. What it mounts is read-only below an overlay whose upper directory
 * is on a disk of the container's own: writable.h.
 *
 * Layers that containerd's erofs snapshotter made are used where they lie. What has to be made
 * (of a directory, as its other snapshotters have them, a tar archive, an OCI image) goes to the
 * cache, named by what it was made of.
 */
#ifndef QBX_FS_H
#define QBX_FS_H

#include <sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "cli.h"
#include "erofs.h"
#include "phase.h"
#include "sha256.h"
#include "step.h"

#define LAYERS_MAX 500u /* of one root file system; overlayfs has the same limit */
#define STACK_MAX 4u	/* disks that a microvm has room for, when layers can only be disks */

/* export.c, gc.c, inspect.c, prepare.c, release.c */
extern const struct cli_verb export_verb, gc_verb, inspect_verb, prepare_verb, release_verb;

/* What the command line says beyond what all commands know. */
struct fs_options {
	const char *to; /* export: directory, or NULL */
	bool json;	/* inspect */
};

extern struct fs_options fs_options;

/* layer.c */

/* An EROFS image in a regular file. */
struct layer {
	char *path; /* absolute, owned */
	struct stat st;
	struct erofs_super sb;
	bool directory; /* path is one: there is no image of it yet */
	bool planned;	/* --dry-run: it would have to be made, so there is no st and no sb */
	bool opaque;	/* it hides all layers below */
	/* What it was found as: set when all else is. */
	enum layer_kind { LAYER_FILE, LAYER_MOUNT, LAYER_DIR, LAYER_TAR, LAYER_OCI } kind;
	char *from; /* that file, mount point, directory or archive; owned */
};

/* Base first. */
struct layers {
	struct layer *v;
	size_t n;
};

/** layers_add() - one more on top. Return: it, zeroed, or NULL with @err. */
struct layer *layers_add(struct layers *l, struct qbx_err *err) _must_check_;
void layers_free(struct layers *l);

/** layers_only_top() - what is below the top layer is hidden by it. */
void layers_only_top(struct layers *l);

/** layers_turn() - from top first to base first. */
void layers_turn(struct layers *l);

/**
 * layer_open() - prove that @path is a regular file with an EROFS image that is whole
 * A symbolic link is refused, and so is an image that needs others.
 * Return: 0 with @l filled, or -1 with @err.
 */
int layer_open(struct layer *l, const char *path, struct qbx_err *err) _must_check_;

/** layer_open_merged() - the same for merged metadata, which needs the layers it was made of. */
int layer_open_merged(struct layer *l, const char *path, struct qbx_err *err) _must_check_;

/**
 * layer_of_mount() - the image behind a directory that is the root of a mounted EROFS
 * Goes by what the kernel says of the mount and of its loop device, never by the names around it.
 * Return: 1 with @l filled; 0 if @dir is another directory; -1 with @err.
 */
int layer_of_mount(struct layer *l, const char *dir, struct qbx_err *err) _must_check_;

/** layer_found() - note what it was found as. Return: 0, or -1 with @err. */
int layer_found(struct layer *l, enum layer_kind kind, const char *from,
		struct qbx_err *err) _must_check_;

/* What a directory is beside its name. */
struct dir_owner {
	unsigned mode; /* permission bits */
	unsigned uid, gid;
	uint64_t mtime; /* seconds */
};

/* rootfs.c */

/* One element of "rootfs". */
struct rootfs_mount {
	const char *type, *source; /* the document's */
	const char **options;	   /* NULL-terminated, owned; the strings are the document's */
};

struct rootfs {
	json_t *mounts; /* owned */
	struct rootfs_mount *v;
	size_t n;
};

/**
 * rootfs_read() - the mounts in a document, at least one: where it has none, its specification's root
 * Return: 0, or -1 with @err; @r is for rootfs_free() anyhow.
 */
int rootfs_read(const struct box *box, struct rootfs *r, struct qbx_err *err) _must_check_;
void rootfs_free(struct rootfs *r);

/** rootfs_type() - a mount's type without containerd's "format/" and "mkdir/"; was the first there? */
const char *rootfs_type(const char *type, bool *format);

/** rootfs_add_dir() - one more layer: the image that is mounted there, or the directory as it is. */
int rootfs_add_dir(struct layers *l, const char *dir, struct qbx_err *err) _must_check_;

/** rootfs_add_erofs() - the layers of a mount of type erofs, top first. */
int rootfs_add_erofs(struct layers *l, const struct rootfs_mount *m,
		     struct qbx_err *err) _must_check_;

struct upper;

/** rootfs_overlay() - the layers of an overlay, the last of the mounts, base first. */
int rootfs_overlay(const struct rootfs *r, const struct upper *u, struct layers *l,
		   struct qbx_err *err) _must_check_;

/* options.c */

/** rootfs_check_options() - is each option of a mount understood? Return: 0, or -1 with @err. */
int rootfs_check_options(const struct rootfs_mount *m, struct qbx_err *err) _must_check_;
/* below.c */

/**
 * below_has() - does any of the layers have something at @path, relative and without symbolic links?
 * @layers: struct layers of an overlay's directories, as rootfs_overlay() finds them
 * Return: true also where that cannot be known.
 */
bool below_has(const void *layers, const char *path);

/* upper.c */

/* Where what is written would be: in a directory, in an image, or nobody has said. */
struct upper {
	const char *image;	/* of an ext4; the document's; NULL: there is none */
	unsigned index;		/* the mount that the image is */
	struct dir_owner owner; /* what the directory in the image is to be */
	bool alone;		/* there are no layers below */
};

/** upper_find() - Return: 0 with @u, which was zero, filled, or -1 with @err. */
int upper_find(struct upper *u, const struct rootfs *r, struct qbx_err *err) _must_check_;

/* lookup.c */

/**
 * lookup_dir() - what a directory is in @n layers, base first, on top of each other
 * @path: without a slash at either end
 * Return: 0 with @o filled: as of root with mode 0755 where there is no such directory; -1 with @err.
 */
int lookup_dir(const struct layer *v, size_t n, const char *path, struct dir_owner *o,
	       struct qbx_err *err) _must_check_;

/**
 * lookup_root() - what the root directory is: as the topmost layer says that says so
 * An archive need not; mkfs.erofs then makes it 0777, of root and of 1970, which counts as not said.
 * @from: set to that layer, or NULL where none does
 */
int lookup_root(const struct layers *l, struct dir_owner *o, const struct layer **from,
		struct qbx_err *err) _must_check_;

/* cache.c */

/* Images that were made, in state_dir/layers, mode 0700. */
struct cache {
	char *dir;
	int fd;	      /* -1: there is no directory yet, and with dry_run none is made */
	bool dry_run; /* say on standard output what would be made, make nothing */
	bool ask;     /* and nevertheless find out whether layers can be merged */
};

int cache_open(struct cache *c, const struct cli *cli, struct qbx_err *err) _must_check_;
void cache_close(struct cache *c);

/** cache_path() - where @name is or would be; the caller frees it. NULL with @err. */
char *cache_path(const struct cache *c, const char *name, struct qbx_err *err) _must_check_;

/** cache_has() - is @name there? */
bool cache_has(const struct cache *c, const char *name);

/**
 * cache_build_fn - write an entry
 * @fd: the new file; it has no name until this has succeeded
 * Return: 0, or -1 with @err.
 */
typedef int cache_build_fn(void *arg, int fd, struct qbx_err *err);

/** cache_scratch() - a file there that never gets a name. Return: descriptor, or -1 with @err. */
int cache_scratch(const struct cache *c, struct qbx_err *err) _must_check_;

/**
 * cache_make() - have @name in the cache: of several callers one builds, the others wait for it
 * A caller that dies leaves nothing, as the file gets its name when it is complete and on disk.
 * Return: 0, or -1 with @err.
 */
int cache_make(const struct cache *c, const char *name, cache_build_fn *build, void *arg,
	       struct qbx_err *err) _must_check_;

/* lease.c */

/** lease_lock() - keep gc away, or with @alone all others. Return: a descriptor that holds it, or -1. */
int lease_lock(const struct cache *c, bool alone, struct qbx_err *err) _must_check_;

/** lease_write() - what a box needs from now on, instead of before: an array of absolute paths. */
int lease_write(const struct cache *c, const char *key, const json_t *files,
		struct qbx_err *err) _must_check_;

/** lease_drop() - a box needs nothing any more. Return: 0 (also when absent), or -1 with @err. */
int lease_drop(const struct config *cfg, const char *key, struct qbx_err *err) _must_check_;

/* source.c */

/** digest_add() - SHA256Update() for anything. */
static inline void digest_add(SHA2_CTX *sha, const void *data, size_t len)
{
	SHA256Update(sha, data, len);
}

enum packing { PACK_NONE, PACK_GZIP, PACK_ZSTD };

/* A tar archive, perhaps compressed: a file, or a piece of one. */
struct source {
	const char *what; /* for error texts */
	int fd;		  /* borrowed; read at offsets */
	uint64_t offset, len;
	enum packing packing;
	char digest[SHA256_HEX_LEN + 1]; /* of the len bytes */
};

/** source_probe() - find the packing. Return: 0, or -1 with @err if it is no tar archive. */
int source_probe(struct source *s, struct qbx_err *err) _must_check_;

/** source_digest() - read it all to set the digest. */
int source_digest(struct source *s, struct qbx_err *err) _must_check_;

/**
 * source_feed() - write it all to @to, and check that it has the digest
 * A reader that goes away early is no error. Return: 0, or -1 with @err.
 */
int source_feed(const struct source *s, int to, struct qbx_err *err) _must_check_;

/* mend.c */

#define MEND_SKIPS_MAX 16u

/* What there is to mend in the archive of a layer. */
struct mend {
	const char *what; /* for error texts */
	bool whiteouts;	  /* whiteouts and opaque markers are what they are called */
	int fd;		  /* of the unpacked archive; borrowed */
	uint64_t size;
	void *names; /* of all that is in it */
	size_t bytes, missing, nskips;
	struct {
		uint64_t from, to;
	} skips[MEND_SKIPS_MAX]; /* what is left out */
	bool opaque;		 /* its root directory hides what is below */
};

/** mend_scan() - look through the archive in a file. @m has what and whiteouts; for mend_free(). */
int mend_scan(struct mend *m, int fd, struct qbx_err *err) _must_check_;
bool mend_needed(const struct mend *m);
void mend_free(struct mend *m);

/** mend_feed() - write the mended archive, which is for the top of @nbelow layers. */
int mend_feed(const struct mend *m, const struct layer *below, size_t nbelow, int to,
	      struct qbx_err *err) _must_check_;

/* mkfs.c: each call runs mkfs.erofs, or with --dry-run says how it would be run */

/* Where the image of a tar archive is to be. */
struct mkfs_place {
	const struct layer *below; /* layers, base first */
	size_t nbelow;
	const char *chain; /* a digest of the archive and all below it; NULL: it is no layer */
};

/**
 * mkfs_tar() - have the image of a tar archive in the cache
 * It is the same wherever the archive is, unless directories are taken from below: mend.c.
 */
int mkfs_tar(const struct cache *c, const struct source *s, const struct mkfs_place *place,
	     struct layer *out, struct qbx_err *err) _must_check_;

#define MKFS_SOURCE_XATTR "trusted.qemubox.source" /* of an image: the directory it was made of */

/** mkfs_dir() - have the image of a directory in the cache; @digest is its dirtree_digest(). */
int mkfs_dir(const struct cache *c, const char *dir, int dirfd, const char *digest,
	     struct layer *out, struct qbx_err *err) _must_check_;

/**
 * mkfs_merge() - have the merged metadata of several layers in the cache
 * Return: 1 with @out filled; 0 if these cannot be merged, with @err saying why; -1 with @err.
 */
int mkfs_merge(const struct cache *c, const struct layers *l, struct layer *out,
	       struct qbx_err *err) _must_check_;

/* dirtree.c */

/**
 * dirtree_digest() - a digest that changes when anything below a directory does
 * SHA-256 over name, inode number, type and mode, owner, size, device number and the times of
 * modification and change of every entry. File contents are not read: the kernel moves the time of
 * change with every write. What is mounted below the directory is refused.
 */
int dirtree_digest(int dirfd, const char *what, char hex[SHA256_HEX_LEN + 1],
		   struct qbx_err *err) _must_check_;

/* What is in an upper directory. */
struct dirtree {
	struct timespec since; /* the caller's */
	char digest[SHA256_HEX_LEN + 1];
	uint64_t entries; /* below it */
	uint64_t newer;	  /* of them, directories left out, those that were changed after "since" */
};

/**
 * dirtree_upper() - the same of an upper directory of overlayfs, wherever it is renamed to
 * Of directories the time of change does not count: overlayfs keeps notes on them in attributes.
 * One with data elsewhere, by overlayfs's attributes, is refused.
 */
int dirtree_upper(int dirfd, const char *what, struct dirtree *t, struct qbx_err *err) _must_check_;

/* vmdk.c */

/* A whole file as a piece of a disk. */
struct extent {
	const char *path; /* borrowed */
	uint64_t sectors; /* of 512 bytes */
};

/** vmdk_path_ok() - can a description name it? No quotes, no line ends, at most 511 bytes. */
bool vmdk_path_ok(const char *path);

/** vmdk_text() - a description of the extents as one disk; the caller frees it. NULL with @err. */
char *vmdk_text(const struct extent *v, size_t n, struct qbx_err *err) _must_check_;

/* merge.c */

/* What layers have become. */
struct disks {
	json_t *disks;	 /* as in qbx-json(7) */
	json_t *sources; /* an array of strings, base first: of the guest's mounts to be stacked */
	json_t *files;	 /* an array of the paths of all that they are made of */
	/* No layers; one disk that is merged; parts of a disk, or a disk each, to be stacked. */
	enum disks_how { DISKS_NONE, DISKS_MERGED, DISKS_PARTS, DISKS_APART } how;
	char *why; /* mkfs.erofs's reason not to merge, or NULL: it was not asked, or had none; owned */
	bool cached; /* the merged metadata is there */
};

/** merge_layers() - disks out of layers; none out of none. Return: 0, or -1 with @err; @d is to be freed anyhow. */
int merge_layers(const struct cache *c, const struct layers *l, struct disks *d,
		 struct qbx_err *err) _must_check_;
void disks_free(struct disks *d);

/* archive.c */

/* An entry of a tar archive. */
struct archive_item {
	const char *name;     /* as it stands there */
	char type;	      /* as in struct tar_header */
	bool sparse;	      /* its data is in a form of GNU tar's */
	uint64_t start;	      /* of its headers */
	uint64_t offset, len; /* of its data, up to the next block if padded */
};

/** archive_item_fn - told of one. Return: 0 to go on, or -1 with @err. */
typedef int archive_item_fn(void *arg, const struct archive_item *item, struct qbx_err *err);

/** archive_walk() - all entries of the archive in a file of @size bytes. Return: 0, or -1 with @err. */
int archive_walk(int fd, const char *path, uint64_t size, archive_item_fn *fn, void *arg,
		 struct qbx_err *err) _must_check_;

/* A piece of a tar archive. */
struct archive_entry {
	char *name; /* without a leading "./" */
	uint64_t offset, len;
};

/* The files in an OCI image layout. */
struct archive {
	const char *path; /* borrowed */
	int fd;
	struct archive_entry *v;
	size_t n;
};

/** archive_open() - open a tar archive and note where its files are. Return: 0, or -1 with @err. */
int archive_open(struct archive *a, const char *path, struct qbx_err *err) _must_check_;
void archive_close(struct archive *a);

/** archive_find() - the last file of that name, or NULL. */
const struct archive_entry *archive_find(const struct archive *a, const char *name);

/** archive_read() - all of a file of at most @max bytes; the caller frees it. NULL with @err. */
char *archive_read(const struct archive *a, const struct archive_entry *e, size_t max,
		   struct qbx_err *err) _must_check_;

/* users.c */

/**
 * users_read() - a file of the container's root, as the topmost layer that has it shows it
 * @path: absolute; at most @max bytes. Return: malloc'ed text, "" if there is none; NULL with @err.
 */
char *users_read(const struct layers *l, const char *path, struct qbx_err *err) _must_check_;

/* oci.c */

/**
 * oci_open() - the layers and the process of an OCI image in a tar archive
 * @process: set to the "process" object of qbx-json(7); new reference
 * @t: gets the mark "resolve" when the layers are known and have yet to be made
 */
int oci_open(const struct cache *c, const char *archive, struct layers *l, json_t **process,
	     struct phases *t, struct qbx_err *err) _must_check_;

/* doc.c */

struct writable;

/** doc_fs() - the "fs" object, without t_us; takes @process. NULL with @err. */
json_t *doc_fs(const struct disks *d, json_t *process, bool readonly, const struct writable *w,
	       struct qbx_err *err) _must_check_;

/* volumes.c */

/**
 * volumes_add() - look at the mounts of the box's specification, and add to @fs what they become
 * Those of the host's are refused where a box cannot have them, with @err saying which and why; @fs has
 * those before it then.
 */
int volumes_add(json_t *fs, const struct box *box, struct qbx_err *err) _must_check_;

/** volumes_plan() - for --dry-run: a line for each of "fs.volumes". */
void volumes_plan(const json_t *volumes);

/* plan.c: what --dry-run prints */

/** plan_line() - one line; control characters are cleaned. */
void plan_line(const char *fmt, ...) _printf_(1, 2);

/** plan_hush() - print nothing until it is off again: it will be told otherwise. */
void plan_hush(bool on);

/** plan_argv() - a command as a shell takes it. */
void plan_argv(const char *const argv[]);

#endif
