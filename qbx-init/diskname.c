/* SPDX-License-Identifier: Apache-2.0 */
/* diskname.c - what the host calls a disk, or a part of one */
#include "diskname.h"

#include <stdbool.h>
#include <string.h>

#define SECTORS_LIMIT (UINT64_C(1) << 54) /* bytes must fit into 63 bits */

/* Decimal digits after @mark, without a zero before them. */
static bool number(const char **p, char mark, uint64_t *n)
{
	const char *digit = *p + 1;

	*n = 0;
	if (**p != mark || *digit < '0' || *digit > '9' ||
	    (*digit == '0' && digit[1] >= '0' && digit[1] <= '9'))
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		*n = *n * 10 + (uint64_t)(*digit - '0');
		if (*n >= SECTORS_LIMIT)
			return false;
	}
	*p = digit;
	return true;
}

static bool part(const char *p, struct disk_part *part)
{
	uint64_t n;

	if (!number(&p, '/', &n) || n == 0 || n > DISK_PARTS_MAX)
		return false;
	part->number = (unsigned)n;
	return number(&p, '@', &part->start) && number(&p, '+', &part->sectors) && !*p &&
	       part->sectors > 0 && part->start + part->sectors < SECTORS_LIMIT;
}

int disk_name_parse(const char *text, struct disk_name *n, struct qbx_err *err)
{
	size_t len = strcspn(text, "/");

	memset(n, 0, sizeof(*n));
	if (len == 0 || len > DISK_SERIAL_MAX)
		return err_code(err, EX_DATAERR, "disk \"%.100s\" has no serial of 1 to %u bytes",
				text, DISK_SERIAL_MAX);
	memcpy(n->serial, text, len);
	if (!text[len] || part(text + len, &n->part))
		return 0;
	return err_code(err, EX_DATAERR, "disk \"%.100s\" is not SERIAL/NUMBER@START+SECTORS",
			text);
}
