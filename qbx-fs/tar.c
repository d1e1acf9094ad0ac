/* SPDX-License-Identifier: Apache-2.0 */
/* tar.c - decode the headers of a tar archive */
#include "tar.h"

#include <stdio.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 60) /* keeps sums of sizes from wrapping */

/* Where the fields are */
enum {
	NAME = 0,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	CHECKSUM = 148,
	TYPE = 156,
	MAGIC = 257,
	PREFIX = 345
};
enum { NAME_LEN = 100, SIZE_LEN = 12, CHECKSUM_LEN = 8, PREFIX_LEN = 155 };

/* Octal digits between blanks, ended by a blank or NUL; or base 256 when the top bit is set. */
static int number(const uint8_t *p, size_t len, uint64_t *n)
{
	size_t i = 0, digits = 0;

	*n = 0;
	if (p[0] & 0x80) {
		*n = p[0] & 0x7f;
		for (i = 1; i < len; i++) {
			if (*n >= SIZE_LIMIT >> 8)
				return -1;
			*n = *n << 8 | p[i];
		}
		return 0;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++, digits++)
		*n = *n << 3 | (uint64_t)(p[i] - '0');
	return i < len && p[i] != ' ' && p[i] != '\0' ? -1 : digits > 0 ? 0 : -1;
}

static unsigned sum_of(const uint8_t *b)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += i >= CHECKSUM && i < CHECKSUM + CHECKSUM_LEN ? ' ' : b[i];
	return sum;
}

static int checksum_ok(const uint8_t *b)
{
	uint64_t want;

	return number(b + CHECKSUM, CHECKSUM_LEN, &want) == 0 && sum_of(b) == want;
}

int tar_header_decode(const uint8_t block[TAR_BLOCK], struct tar_header *h)
{
	static const uint8_t zero[TAR_BLOCK];
	const char *b = (const char *)block;

	if (!memcmp(block, zero, TAR_BLOCK))
		return 0;
	if (!checksum_ok(block) || number(block + SIZE, SIZE_LEN, &h->size) < 0 ||
	    h->size >= SIZE_LIMIT)
		return -1;
	h->type = b[TYPE] ? b[TYPE] : '0';
	if (!memcmp(b + MAGIC, "ustar\0", 6) && b[PREFIX])
		snprintf(h->name, sizeof(h->name), "%.*s/%.*s", PREFIX_LEN, b + PREFIX, NAME_LEN,
			 b + NAME);
	else
		snprintf(h->name, sizeof(h->name), "%.*s", NAME_LEN, b + NAME);
	return 1;
}

/* One record, "LEN KEY=VALUE\n", where LEN counts all of it. Return: its length, or 0. */
static size_t record(const char *data, size_t len, struct tar_pax *pax)
{
	const char *p = data, *end, *eq;
	size_t n = 0;

	for (; p < data + len && *p >= '0' && *p <= '9' && n <= len; p++)
		n = n * 10 + (size_t)(*p - '0');
	if (p == data || p >= data + len || *p != ' ' || n > len || data + n <= p + 1 ||
	    data[n - 1] != '\n')
		return 0;
	end = data + n - 1;
	p++;
	eq = memchr(p, '=', (size_t)(end - p));
	if (!eq)
		return 0;
	if (eq - p == 4 && !memcmp(p, "path", 4)) {
		if ((size_t)(end - eq) > sizeof(pax->name) || memchr(eq, '\0', (size_t)(end - eq)))
			return 0;
		snprintf(pax->name, sizeof(pax->name), "%.*s", (int)(end - eq - 1), eq + 1);
		pax->has_name = 1;
	} else if (eq - p == 4 && !memcmp(p, "size", 4)) {
		pax->size = 0;
		for (p = eq + 1; p < end; p++) {
			if (*p < '0' || *p > '9' || pax->size >= SIZE_LIMIT / 10)
				return 0;
			pax->size = pax->size * 10 + (uint64_t)(*p - '0');
		}
		pax->has_size = 1;
	} else if (eq - p > 11 && !memcmp(p, "GNU.sparse.", 11)) {
		pax->sparse = 1;
	}
	return n;
}

int tar_pax_decode(const char *data, size_t len, struct tar_pax *pax)
{
	while (len > 0) {
		size_t n = record(data, len, pax);

		if (n == 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

/* The record "LEN KEY=VALUE\n", whose length counts its own digits. Return: that. */
static size_t add_record(char *to, size_t size, const char *key, const char *value)
{
	size_t len = strlen(key) + strlen(value) + 3, digits = 1;

	for (size_t limit = 10; len + digits >= limit; limit *= 10)
		digits++;
	return (size_t)snprintf(to, size, "%zu %s=%s\n", len + digits, key, value);
}

static void header(uint8_t *b, const char *name, char type, unsigned mode, size_t size)
{
	memset(b, 0, TAR_BLOCK);
	snprintf((char *)b + NAME, NAME_LEN, "%s", name);
	snprintf((char *)b + MODE, 8, "%07o", mode & 07777);
	snprintf((char *)b + UID, 8, "%07o", 0);
	snprintf((char *)b + GID, 8, "%07o", 0);
	snprintf((char *)b + SIZE, SIZE_LEN, "%011zo", size);
	snprintf((char *)b + MTIME, 12, "%011o", 0);
	b[TYPE] = (uint8_t)type;
	strcpy((char *)b + MAGIC, "ustar");
	b[MAGIC + 6] = b[MAGIC + 7] = '0';
	snprintf((char *)b + CHECKSUM, 7, "%06o", sum_of(b));
	b[CHECKSUM + 7] = ' ';
}

/* Everything that might not fit goes to the extended header. */
size_t tar_print_dir(uint8_t *buf, size_t size, const char *name, unsigned mode, unsigned uid,
		     unsigned gid, uint64_t mtime)
{
	static const size_t room = 128; /* for three numbers */
	size_t len = 0, max = tar_padded(strlen(name) + room);
	char *records = (char *)buf + TAR_BLOCK, n[24];

	if (size < max + 2 * TAR_BLOCK)
		return 0;
	memset(records, 0, max);
	len += add_record(records + len, max - len, "path", name);
	snprintf(n, sizeof(n), "%u", uid);
	len += add_record(records + len, max - len, "uid", n);
	snprintf(n, sizeof(n), "%u", gid);
	len += add_record(records + len, max - len, "gid", n);
	snprintf(n, sizeof(n), "%llu", (unsigned long long)mtime);
	len += add_record(records + len, max - len, "mtime", n);
	header(buf, "pax", 'x', 0644, len);
	header(buf + TAR_BLOCK + tar_padded(len), "dir", '5', mode, 0);
	return 2 * TAR_BLOCK + tar_padded(len);
}
