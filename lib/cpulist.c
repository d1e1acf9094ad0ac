/* SPDX-License-Identifier: Apache-2.0 */
/* cpulist.c - sets of processors as text */
#include "cpulist.h"

#include <ctype.h>
#include <string.h>

/* A number below @max. Return: what follows it, or NULL. */
static const char *take_number(const char *text, unsigned max, unsigned *n)
{
	*n = 0;
	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		*n = *n * 10 + (unsigned)(*text - '0');
		if (*n >= max)
			return NULL;
	}
	return text;
}

/* Return: how many of them are new. */
static int add_range(uint64_t *set, unsigned first, unsigned last)
{
	int added = 0;

	for (unsigned i = first; i <= last; i++) {
		uint64_t bit = UINT64_C(1) << i % 64;

		added += !(set[i / 64] & bit);
		set[i / 64] |= bit;
	}
	return added;
}

int cpulist_parse(const char *text, uint64_t *set, unsigned max)
{
	unsigned first, last;
	int count = 0;

	memset(set, 0, max / 8);
	if (!*text)
		return 0;
	for (;; text++) {
		text = take_number(text, max, &first);
		last = first;
		if (text && *text == '-')
			text = take_number(text + 1, max, &last);
		if (!text || last < first)
			return -1;
		count += add_range(set, first, last);
		if (*text != ',')
			return *text ? -1 : count;
	}
}
