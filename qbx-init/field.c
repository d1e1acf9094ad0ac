/* SPDX-License-Identifier: Apache-2.0 */
/* field.c - a number in a text of the kernel's */
#include "field.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *find_line(const char *text, const char *line)
{
	size_t len = line ? strlen(line) : 0;

	while (text && strncmp(text, line ? line : "", len)) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text ? text + len : NULL;
}

int field_number(const char *text, const char *line, const char *word, uint64_t *value)
{
	const char *at = find_line(text, line), *end, *found;
	char *stop;

	if (!at)
		return -1;
	end = strchrnul(at, '\n');
	found = strstr(at, word);
	if (!found || found > end)
		return -1;
	found += strlen(word);
	found += strspn(found, " \t");
	if (*found < '0' || *found > '9')
		return -1;
	errno = 0;
	*value = strtoull(found, &stop, 10);
	return errno || stop > end ? -1 : 0;
}
