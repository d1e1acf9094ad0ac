/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - what --dry-run prints */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "fs.h"

static bool hushed;

void plan_hush(bool on)
{
	hushed = on;
}

void plan_line(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	if (hushed)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	else
		puts(err_clean(text));
}

static int plain(const char *s)
{
	if (!*s)
		return 0;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_=./,:+@%", *s))
			return 0;
	return 1;
}

void plan_argv(const char *const argv[])
{
	for (; *argv && !hushed; argv++) {
		const char *a = *argv;

		if (plain(a)) {
			fputs(a, stdout);
		} else {
			putchar('\'');
			for (; *a; a++)
				if (*a == '\'')
					fputs("'\\''", stdout);
				else
					putchar(*a);
			putchar('\'');
		}
		putchar(argv[1] ? ' ' : '\n');
	}
}
