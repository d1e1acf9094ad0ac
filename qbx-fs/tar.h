/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - decode the headers of a tar archive
 *
 * Source of the format: POSIX pax (ustar interchange format and its extended headers) and, for 'L'
 * and numbers in base 256, GNU tar's manual.
 */
#ifndef QBX_TAR_H
#define QBX_TAR_H

#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK 512u
#define TAR_NAME_MAX 257u /* prefix, slash, name and NUL */

struct tar_header {
	char name[TAR_NAME_MAX];
	char type;     /* '0' regular (also for '\0'), 'x' pax header, 'L' GNU long name, ... */
	uint64_t size; /* bytes of data that follow, padded to whole blocks */
};

/** tar_header_decode() - Return: 1; 0 for a block of zeros, an end mark; -1 if it is no header. */
int tar_header_decode(const uint8_t block[TAR_BLOCK], struct tar_header *h);

/* What an extended header says about the entry after it, as far as it matters here. */
struct tar_pax {
	char name[4096];
	uint64_t size;
	int has_name, has_size;
	int sparse; /* what follows is not the file's data as it is, but GNU tar's form of it */
};

/** tar_pax_decode() - decode the records of a pax header, adding to @pax. Return: 0, or -1. */
int tar_pax_decode(const char *data, size_t len, struct tar_pax *pax);

/**
 * tar_print_dir() - write the entry of a directory: an extended header and a header
 * @name: relative
 * @mtime: seconds since 1970
 * Return: the number of bytes, or 0 if @size is too small for them.
 */
size_t tar_print_dir(uint8_t *buf, size_t size, const char *name, unsigned mode, unsigned uid,
		     unsigned gid, uint64_t mtime);

/** tar_plain() - a name without "./" and slashes before it. */
static inline const char *tar_plain(const char *name)
{
	for (;;)
		if (*name == '/')
			name++;
		else if (name[0] == '.' && name[1] == '/')
			name += 2;
		else
			return name;
}

/** tar_padded() - bytes from the start of an entry's data to the next header. */
static inline uint64_t tar_padded(uint64_t size)
{
	return (size + TAR_BLOCK - 1) & ~(uint64_t)(TAR_BLOCK - 1);
}

#endif
