/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - decode the templates in mounts that containerd leaves to a runtime */
#include "template.h"

#include <stdint.h>
#include <string.h>

#define MKDIR "X-containerd.mkdir."

static void skip_blanks(const char **p)
{
	*p += strspn(*p, " \t");
}

/* An index after a blank. Return: 0, or -1. */
static int take_index(const char **p, unsigned *n)
{
	const char *digits = *p + strspn(*p, " \t");
	size_t len = strspn(digits, "0123456789");

	if (digits == *p || len == 0 || len > 3)
		return -1;
	*n = 0;
	for (*p = digits; len > 0; len--)
		*n = *n * 10 + (unsigned)(*(*p)++ - '0');
	return 0;
}

static int take_call(const char **p, struct template *t)
{
	skip_blanks(p);
	if (!strncmp(*p, "mount", 5)) {
		*p += 5;
		if (take_index(p, &t->first) < 0)
			return -1;
		t->last = t->first;
	} else if (!strncmp(*p, "overlay", 7)) {
		*p += 7;
		if (take_index(p, &t->first) < 0 || take_index(p, &t->last) < 0)
			return -1;
	} else {
		return -1;
	}
	skip_blanks(p);
	return strncmp(*p, "}}", 2) ? -1 : 0;
}

int template_take(const char **text, struct template *t, struct qbx_err *err)
{
	const char *p = *text;

	memset(t, 0, sizeof(*t));
	if (strncmp(p, "{{", 2) != 0)
		return 0;
	p += 2;
	if (take_call(&p, t) < 0)
		return err_code(err, EX_DATAERR,
				"\"%.60s\": not {{ mount N }} or {{ overlay N N }}", *text);
	*text = p + 2;
	return 1;
}

/* All of @len digits to a base. Return: 0, or -1. */
static int number(const char *digits, size_t len, unsigned base, uint64_t max, unsigned *n)
{
	uint64_t v = 0;

	if (len == 0 || len > 10)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] >= (char)('0' + base))
			return -1;
		v = v * base + (uint64_t)(digits[i] - '0');
	}
	*n = (unsigned)v;
	return v > max ? -1 : 0;
}

/* The next field before a colon or the end. */
static const char *field(const char **p, size_t *len)
{
	const char *start = *p;

	*len = strcspn(start, ":");
	*p = start + *len + (start[*len] == ':');
	return start;
}

/* MODE[:UID:GID] */
static int attributes(const char *p, struct template_mkdir *m)
{
	size_t len;
	const char *mode = field(&p, &len), *id;

	if (number(mode, len, 8, 0777, &m->mode) < 0)
		return -1;
	if (!mode[len])
		return 0;
	id = field(&p, &len);
	if (!id[len] || number(id, len, 10, UINT32_MAX - 1, &m->uid) < 0)
		return -1;
	id = field(&p, &len);
	return id[len] || number(id, len, 10, UINT32_MAX - 1, &m->gid) < 0 ? -1 : 0;
}

int template_mkdir(const char *option, struct template_mkdir *m, struct qbx_err *err)
{
	const char *p;

	memset(m, 0, sizeof(*m));
	if (strncmp(option, MKDIR, strlen(MKDIR)) != 0)
		return 0;
	m->mode = 0700;
	if (!strncmp(option, MKDIR "path=", strlen(MKDIR "path="))) {
		p = option + strlen(MKDIR "path=");
		m->path = field(&p, &m->path_len);
		if (m->path_len > 0 && (!m->path[m->path_len] || attributes(p, m) == 0))
			return 1;
	}
	return err_code(err, EX_DATAERR, "\"%.100s\": not " MKDIR "path=PATH:MODE:UID:GID", option);
}
