/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c - where the files of a tar archive are */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs.h"
#include "tar.h"

#define HEADERS_MAX (1u << 20)
#define ENTRIES_MAX 65536u	/* regular files; an image layout has a few hundred */
#define EXTENDED_MAX (1u << 20) /* bytes of a pax header or a long name */

static int read_exactly(int fd, const char *path, void *buf, size_t len, uint64_t offset,
			struct qbx_err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read %s", path);
		if (n == 0)
			return err_code(err, EX_DATAERR, "%s: truncated archive", path);
		done += (size_t)n;
	}
	return 0;
}

/* A header that says something of the entry after it. */
static int extended(int fd, const char *path, const struct tar_header *h, uint64_t offset,
		    struct tar_pax *pax, struct qbx_err *err)
{
	_cleanup_free_ char *data = NULL;

	if (h->size > EXTENDED_MAX)
		return err_code(err, EX_DATAERR, "%s: an extended header of %llu bytes", path,
				(unsigned long long)h->size);
	data = calloc(1, h->size + 1);
	if (!data)
		return err_sys(err, ENOMEM, "read %s", path);
	if (read_exactly(fd, path, data, h->size, offset, err) < 0)
		return -1;
	if (h->type == 'L') {
		snprintf(pax->name, sizeof(pax->name), "%s", data);
		pax->has_name = 1;
	} else if (tar_pax_decode(data, h->size, pax) < 0) {
		return err_code(err, EX_DATAERR, "%s: a damaged extended header", path);
	}
	return 0;
}

/* Does a header speak of the archive or of the next entry, and is none itself? */
static bool is_extended(char type)
{
	return type == 'x' || type == 'L' || type == 'K' || type == 'g';
}

int archive_walk(int fd, const char *path, uint64_t size, archive_item_fn *fn, void *arg,
		 struct qbx_err *err)
{
	struct tar_pax pax = { .has_name = 0 };
	uint64_t at = 0, start = 0;

	for (unsigned i = 0; i < HEADERS_MAX && at < size; i++) {
		uint8_t block[TAR_BLOCK];
		struct tar_header h;
		uint64_t len;
		int r;

		if (read_exactly(fd, path, block, sizeof(block), at, err) < 0)
			return -1;
		r = tar_header_decode(block, &h);
		if (r < 0)
			return err_code(err, EX_DATAERR, "%s: %s", path,
					at ? "a damaged archive" : "not a tar archive");
		if (r == 0)
			return 0;
		at += sizeof(block);
		len = pax.has_size && !is_extended(h.type) ? pax.size : h.size;
		if (len > size - at)
			return err_code(err, EX_DATAERR, "%s: truncated archive", path);
		if ((h.type == 'x' || h.type == 'L') && extended(fd, path, &h, at, &pax, err) < 0)
			return -1;
		at += tar_padded(len);
		if (is_extended(h.type))
			continue;
		if (fn(arg,
		       &(struct archive_item){ .name = pax.has_name ? pax.name : h.name,
					       .type = h.type,
					       .sparse = pax.sparse || h.type == 'S',
					       .start = start,
					       .offset = at - tar_padded(len),
					       .len = len },
		       err) < 0)
			return -1;
		pax.has_name = pax.has_size = pax.sparse = 0;
		start = at;
	}
	return at < size ? err_code(err, EX_DATAERR, "%s: more than %u headers", path, HEADERS_MAX)
			 : 0;
}

/* ---- the files in it ---- */

static int add(void *arg, const struct archive_item *item, struct qbx_err *err)
{
	struct archive *a = arg;
	struct archive_entry *grown;

	if (item->type != '0')
		return 0;
	if (a->n >= ENTRIES_MAX)
		return err_code(err, EX_DATAERR, "%s: more than %u files", a->path, ENTRIES_MAX);
	if (!(a->n & (a->n - 1))) { /* a power of two: full */
		grown = realloc(a->v, (a->n ? a->n * 2 : 1) * sizeof(*grown));
		if (!grown)
			return err_sys(err, ENOMEM, "read %s", a->path);
		a->v = grown;
	}
	a->v[a->n] =
		(struct archive_entry){ strdup(tar_plain(item->name)), item->offset, item->len };
	if (!a->v[a->n].name)
		return err_sys(err, ENOMEM, "read %s", a->path);
	a->n++;
	return 0;
}

static int scan(struct archive *a, uint64_t size, struct qbx_err *err)
{
	return archive_walk(a->fd, a->path, size, add, a, err);
}

int archive_open(struct archive *a, const char *path, struct qbx_err *err)
{
	struct stat st;

	memset(a, 0, sizeof(*a));
	a->path = path;
	a->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (a->fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (fstat(a->fd, &st) < 0)
		return err_sys(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_code(err, EX_DATAERR, "%s: not a regular file", path);
	return scan(a, (uint64_t)st.st_size, err);
}

void archive_close(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].name);
	free(a->v);
	if (a->fd >= 0)
		close(a->fd);
}

const struct archive_entry *archive_find(const struct archive *a, const char *name)
{
	for (size_t i = a->n; i-- > 0;)
		if (!strcmp(a->v[i].name, name))
			return &a->v[i];
	return NULL;
}

char *archive_read(const struct archive *a, const struct archive_entry *e, size_t max,
		   struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;

	if (e->len > max) {
		err_code(err, EX_DATAERR, "%s: %s is larger than %zu bytes", a->path, e->name, max);
		return NULL;
	}
	text = calloc(1, e->len + 1);
	if (!text) {
		err_sys(err, ENOMEM, "read %s", a->path);
		return NULL;
	}
	return read_exactly(a->fd, a->path, text, e->len, e->offset, err) < 0 ? NULL
									      : take_ptr(text);
}
