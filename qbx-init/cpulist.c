/* SPDX-License-Identifier: Apache-2.0 */
/* cpulist.c - sets of processors as the kernel writes them */
#include "cpulist.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>

#include "io.h"

/* A number below CPULIST_MAX. Return: what follows it, or NULL. */
static const char *take_number(const char *text, unsigned *n)
{
	*n = 0;
	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		*n = *n * 10 + (unsigned)(*text - '0');
		if (*n >= CPULIST_MAX)
			return NULL;
	}
	return text;
}

int cpulist_parse(const char *text, uint64_t *set)
{
	unsigned first, last;

	*set = 0;
	if (*text == '\n' || !*text)
		return 0;
	for (;; text++) {
		text = take_number(text, &first);
		last = first;
		if (text && *text == '-')
			text = take_number(text + 1, &last);
		if (!text || last < first)
			return -1;
		for (unsigned i = first; i <= last; i++)
			*set |= UINT64_C(1) << i;
		if (*text != ',')
			break;
	}
	return *text == '\0' || (*text == '\n' && !text[1]) ? 0 : -1;
}

int cpulist_read(const char *name, uint64_t *set, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", name);
	if (io_read_file(AT_FDCWD, path, 4096, &text, &len, err) < 0)
		return -1;
	if (cpulist_parse(text, set) < 0)
		return err_code(err, EX_SOFTWARE, "%s: \"%.80s\" is no list of processors", path,
				err_clean(text));
	return 0;
}
