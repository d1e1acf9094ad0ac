/* SPDX-License-Identifier: Apache-2.0 */
/* volumes.h - what becomes of those mounts of a specification that are the host's: "fs.volumes" */
#ifndef QBX_VOLUMES_H
#define QBX_VOLUMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define VOLUMES_MAX 64u /* of one box */

/* Below the bundle in the guest, each with a number in it: what virtiofsd shows, and what is sent. */
#define VOLUMES_SHARES "volumes"
#define VOLUMES_FILES "files"
#define VOLUMES_DISKS "disks"
#define VOLUMES_SERIAL "vol" /* and its number: the serial of a volume's disk */
#define VOLUMES_PATH_MAX 16u

enum volume_kind {
	VOLUME_SHARE, /* virtiofsd shows it: a directory, or a file that is written to or large */
	VOLUME_FILE,  /* its contents are sent to the guest, and again when they change */
	VOLUME_DISK,  /* a disk of the VM, with a file system that the guest mounts */
	VOLUME_BLOCK, /* a disk of the VM, as a block device in the container */
	VOLUME_SHM,   /* /dev/shm: memory of the guest's, as large as the host's was */
};

/* One element of "fs.volumes" of qbx-json(7). Strings are borrowed from it. */
struct volume {
	enum volume_kind kind;
	size_t index; /* which of the specification's mounts, or of its devices */
	bool device;  /* the latter; VOLUME_BLOCK only */
	char path
		[VOLUMES_PATH_MAX]; /* below the bundle in the guest; VOLUME_BLOCK: "disk:<serial>" */
	const char *fstype;	    /* VOLUME_DISK only, else "" */
	uint64_t size;		    /* VOLUME_SHM only, in bytes; 0: no bound */
	const char *source;	    /* absolute, on the host */
	const char *destination;    /* in the container */
	uint64_t dev, ino;	    /* what the source was; it is opened only if it still is that */
	bool readonly, recursive;
};

/**
 * volume_read() - element @index of an array "fs.volumes", checked
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int volume_read(const json_t *volumes, size_t index, struct volume *v,
		struct qbx_err *err) _must_check_;

/** volume_to_json() - reverse of volume_read(); new reference, or NULL. */
json_t *volume_to_json(const struct volume *v);

/** volume_path() - where number @index of that kind is, below the bundle in the guest. */
void volume_path(enum volume_kind kind, size_t index, char path[VOLUMES_PATH_MAX]);

/** volume_is_path() - is that what volume_path() gives, for any kind and number? */
bool volume_is_path(const char *path);

/** volume_is_disk() - is that what it gives for a VOLUME_BLOCK? */
bool volume_is_disk(const char *path);

/** volume_option_is_generic() - is that mount option for any file system, or for a bind mount? */
bool volume_option_is_generic(const char *option);

/**
 * volumes_place() - have a specification's mounts name what there is in the guest
 * The source of each mount that is a volume becomes its path relative to the bundle; its options stay.
 * @volumes: NULL for none
 * @emulated: nothing can be run from shares. What virtiofsd writes into the guest's memory QEMU's TCG does
 *            not notice, and would go on with its translation of what was there before.
 * Return: 0, or -1 with @err if the specification is not the one that the volumes are of.
 */
int volumes_place(json_t *spec, const json_t *volumes, bool emulated,
		  struct qbx_err *err) _must_check_;

/** volumes_place_text() - the same with the text of one, malloc'ed, which another may replace. */
int volumes_place_text(char **text, size_t *len, const json_t *volumes, bool emulated,
		       struct qbx_err *err) _must_check_;

#endif
