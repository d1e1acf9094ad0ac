/* SPDX-License-Identifier: Apache-2.0 */
/* vmdk.c - the description of a disk that is made of several files */
#include "vmdk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "io.h"

#define TEXT_MAX (1u << 20) /* bytes; an extent's line has some 600 at most */
#define HEADER                                                                 \
	"# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n" \
	"createType=\"twoGbMaxExtentFlat\"\n"

void vmdk_free(struct vmdk *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		free(d->v[i].path);
	free(d);
}

static bool take_word(const char **p, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*p, word, len) != 0)
		return false;
	*p += len;
	return true;
}

static bool take_number(const char **p, uint64_t *n)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*n = strtoull(*p, &end, 10);
	*p = end;
	return errno == 0;
}

/* RW SECTORS FLAT "PATH" OFFSET */
static int parse_extent(struct vmdk *d, const char *line, size_t len, struct qbx_err *err)
{
	struct vmdk_extent *e = &d->v[d->n];
	const char *p = line, *quote;

	if (d->n == VMDK_EXTENTS_MAX)
		return err_code(err, EX_DATAERR, "more than %u extents", VMDK_EXTENTS_MAX);
	if (!take_word(&p, "RW ") || !take_number(&p, &e->sectors) || !take_word(&p, " FLAT \"/"))
		return err_code(err, EX_DATAERR, "not a flat extent with an absolute path: %.*s",
				(int)(len < 80 ? len : 80), line);
	quote = memchr(p, '"', len - (size_t)(p - line));
	if (!quote || quote - p >= PATH_MAX)
		return err_code(err, EX_DATAERR, "an extent's path without end");
	e->path = strndup(p - 1, (size_t)(quote - p) + 1);
	if (!e->path)
		return err_sys(err, ENOMEM, "read it");
	d->n++;
	p = quote + 1;
	if (!take_word(&p, " ") || !take_number(&p, &e->offset) || p != line + len)
		return err_code(err, EX_DATAERR, "%s: an extent without its offset", e->path);
	return 0;
}

/* Is it a line that says nothing of where the data is? */
static bool is_plain(const char *line, size_t len)
{
	static const char *const begins[] = { "#",    "ddb.",	       "version=1",
					      "CID=", "createType=\"", "parentCID=ffffffff" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strlen(begins[i]) <= len && !memcmp(line, begins[i], strlen(begins[i])))
			return true;
	return len == 0;
}

struct vmdk *vmdk_parse(const char *text, struct qbx_err *err)
{
	struct vmdk *d = calloc(1, sizeof(*d));
	int ret = 0;

	if (!d) {
		err_sys(err, ENOMEM, "read it");
		return NULL;
	}
	for (const char *line = text; ret == 0 && *line; line += *line == '\n') {
		size_t len = strcspn(line, "\n");

		if (!is_plain(line, len))
			ret = parse_extent(d, line, len, err);
		line += len;
	}
	if (ret == 0 && d->n == 0)
		ret = err_code(err, EX_DATAERR, "no extent");
	if (ret == 0)
		return d;
	vmdk_free(d);
	return NULL;
}

struct vmdk *vmdk_read(const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct vmdk *d = NULL;
	size_t len;

	if (io_read_file(AT_FDCWD, path, TEXT_MAX, &text, &len, err) < 0)
		return NULL;
	if (strlen(text) == len)
		d = vmdk_parse(text, err);
	else
		err_code(err, EX_DATAERR, "it holds a NUL");
	if (!d)
		err_wrap(err, "disk description %s", path);
	return d;
}

char *vmdk_rewrite(const struct vmdk *d, int first)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool bad;

	if (!f)
		return NULL;
	fputs(HEADER, f);
	for (size_t i = 0; i < d->n; i++)
		fprintf(f, "RW %" PRIu64 " FLAT \"/dev/fdset/%zu\" %" PRIu64 "\n", d->v[i].sectors,
			(size_t)first + i, d->v[i].offset);
	bad = ferror(f);
	if (fclose(f) == 0 && !bad)
		return text;
	free(text);
	return NULL;
}
