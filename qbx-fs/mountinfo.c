/* SPDX-License-Identifier: Apache-2.0 */
/* mountinfo.c - decode /proc/self/mountinfo */
#include "mountinfo.h"

#include <errno.h>
#include <string.h>

static int octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undo \ooo in place. */
static char *unescape(char *field)
{
	char *to = field;

	for (const char *p = field; *p; to++) {
		if (p[0] == '\\' && p[1] <= '3' && octal(p[1]) && octal(p[2]) && octal(p[3])) {
			*to = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
	return field;
}

/* The next field of a line, cut off; NULL when there is none. */
static char *field(char **line)
{
	char *f = strsep(line, " ");

	return f && *f ? f : NULL;
}

/* All of @text as a decimal number. Return: 0, or -1. */
static int number(const char *text, unsigned long long *n)
{
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	*n = strtoull(text, &end, 10);
	return errno || *end ? -1 : 0;
}

static int device(char *text, struct mountinfo *m)
{
	char *minor = text ? strchr(text, ':') : NULL;
	unsigned long long a, b;

	if (!minor)
		return -1;
	*minor++ = '\0';
	if (number(text, &a) < 0 || number(minor, &b) < 0 || a > 0xfff || b > 0xfffff)
		return -1;
	m->major = (unsigned)a;
	m->minor = (unsigned)b;
	return 0;
}

static int decode(char *line, struct mountinfo *m)
{
	char *root, *point, *f, *fstype, *source, *options;
	unsigned long long parent;

	if (number(field(&line), &m->id) < 0 || number(field(&line), &parent) < 0 ||
	    device(field(&line), m) < 0)
		return -1;
	root = field(&line);
	point = field(&line);
	if (!root || !point || !field(&line))
		return -1;
	do /* optional fields, as many as there are */
		f = field(&line);
	while (f && strcmp(f, "-") != 0);
	fstype = field(&line);
	source = line ? strsep(&line, " ") : NULL; /* may be empty */
	options = line;
	if (!f || !fstype || !source || !options)
		return -1;
	m->root = unescape(root);
	m->point = unescape(point);
	m->fstype = unescape(fstype);
	m->source = unescape(source);
	m->super_options = unescape(options);
	return 0;
}

int mountinfo_next(char **cursor, struct mountinfo *m, struct qbx_err *err)
{
	char *line = strsep(cursor, "\n");

	if (!line || !*line)
		return 0;
	memset(m, 0, sizeof(*m));
	if (decode(line, m) < 0)
		return err_code(err, EX_DATAERR, "mountinfo: a line that is none, near \"%.40s\"",
				line);
	return 1;
}

int mountinfo_find(char *text, unsigned long long id, struct mountinfo *m, struct qbx_err *err)
{
	int r;

	while ((r = mountinfo_next(&text, m, err)) > 0)
		if (m->id == id)
			return 1;
	return r;
}
