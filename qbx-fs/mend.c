/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mend.c - what mkfs.erofs would make another tree of
 *
 * A layer's archive may leave out directories that its files are in. Who unpacks it on top of the
 * layers below finds them there, or makes them with mode 0755; mkfs.erofs, which sees one archive,
 * makes them with mode 0777, and they would cover those below. So they are put before the archive, as
 * they are below. An opaque marker in the root directory is nothing that mkfs.erofs takes: it is left
 * out, and the layers below are. Files in GNU tar's sparse form it does not unpack, and says nothing.
 */
#include <errno.h>
#include <search.h>
#include <string.h>

#include "fs.h"
#include "io.h"
#include "tar.h"

#define NAMES_MAX (64u << 20) /* bytes of names that are remembered */
#define CHUNK (256u << 10)
#define MARKER ".wh..wh..opq"

/* A path in the archive. */
struct name {
	bool there;  /* it has an entry of its own, and is not only where another is */
	char path[]; /* plain, without a slash at the end */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

/* Remember the first @len bytes of @path. Return: 1 if it was known; 0; or -1 with @err. */
static int remember(struct mend *m, const char *path, size_t len, bool there, struct qbx_err *err)
{
	struct name *n = malloc(sizeof(*n) + len + 1), **at;

	if (!n)
		return err_sys(err, ENOMEM, "%s", m->what);
	n->there = there;
	memcpy(n->path, path, len);
	n->path[len] = '\0';
	at = tsearch(n, &m->names, compare);
	if (at && *at != n) {
		(*at)->there |= there;
		free(n);
		return 1;
	}
	if (!at)
		free(n);
	m->bytes += sizeof(*n) + len;
	if (!at || m->bytes > NAMES_MAX)
		return at ? err_code(err, EX_DATAERR, "%s: more than %u bytes of names", m->what,
				     NAMES_MAX)
			  : err_sys(err, ENOMEM, "%s", m->what);
	return 0;
}

static int skip(struct mend *m, const struct archive_item *item, struct qbx_err *err)
{
	if (m->nskips == MEND_SKIPS_MAX)
		return err_code(err, EX_DATAERR, "%s: more than %u opaque markers", m->what,
				MEND_SKIPS_MAX);
	m->skips[m->nskips].from = item->start;
	m->skips[m->nskips++].to = item->offset + tar_padded(item->len);
	m->opaque = true;
	return 0;
}

static int look(void *arg, const struct archive_item *item, struct qbx_err *err)
{
	struct mend *m = arg;
	const char *path = tar_plain(item->name);
	size_t len = strlen(path);

	if (item->sparse) {
		err_code(err, EX_DATAERR, "%s: \"%.200s\" is in GNU tar's sparse form", m->what,
			 path);
		return err_hint(err, "make the archive without tar --sparse");
	}
	if (m->whiteouts && !strcmp(path, MARKER))
		return skip(m, item, err);
	while (len > 0 && path[len - 1] == '/')
		len--;
	if (len == 0 || (len == 1 && path[0] == '.'))
		return 0;
	if (remember(m, path, len, true, err) < 0)
		return -1;
	/* Where a directory is known, so are those above it. */
	while (len > 0) {
		int r;

		while (len > 0 && path[len - 1] != '/')
			len--;
		while (len > 0 && path[len - 1] == '/')
			len--;
		r = len ? remember(m, path, len, false, err) : 1;
		if (r != 0)
			return r < 0 ? -1 : 0;
	}
	return 0;
}

static void count(const void *node, VISIT which, void *arg)
{
	const struct name *n = *(const struct name *const *)node;
	struct mend *m = arg;

	if (which == postorder || which == leaf)
		m->missing += !n->there;
}

int mend_scan(struct mend *m, int fd, struct qbx_err *err)
{
	struct stat st;

	m->fd = fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", m->what);
	m->size = (uint64_t)st.st_size;
	if (archive_walk(fd, m->what, m->size, look, m, err) < 0)
		return -1;
	twalk_r(m->names, count, m);
	return 0;
}

void mend_free(struct mend *m)
{
	tdestroy(m->names, free);
	m->names = NULL;
}

bool mend_needed(const struct mend *m)
{
	return m->missing || m->nskips;
}

/* ---- the mended archive ---- */

struct feeding {
	const struct mend *m;
	const struct layer *below;
	size_t nbelow;
	int to;
	struct qbx_err *err;
	int r;
};

/* A reader that goes away early is no error: it has its own word on it. */
static int feed_bytes(struct feeding *f, const void *data, size_t len)
{
	if (f->to < 0 || io_write_all(f->to, data, len) == 0)
		return 0;
	if (errno != EPIPE)
		return err_sys(f->err, errno, "pass %s on", f->m->what);
	f->to = -1;
	return 0;
}

static int feed_dir(struct feeding *f, const char *path)
{
	static uint8_t buf[TAR_BLOCK * 16];
	struct dir_owner o;
	size_t len;

	if (lookup_dir(f->below, f->nbelow, path, &o, f->err) < 0)
		return -1;
	len = tar_print_dir(buf, sizeof(buf), path, o.mode, o.uid, o.gid, o.mtime);
	if (len == 0)
		return err_code(f->err, EX_DATAERR, "%s: a path of %zu bytes", f->m->what,
				strlen(path));
	return feed_bytes(f, buf, len);
}

/* In the order of their names, which has a directory before what is in it. */
static void feed_missing(const void *node, VISIT which, void *arg)
{
	const struct name *n = *(const struct name *const *)node;
	struct feeding *f = arg;

	if ((which == postorder || which == leaf) && !n->there && f->r == 0)
		f->r = feed_dir(f, n->path);
}

static int feed_span(struct feeding *f, uint64_t from, uint64_t to)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);

	if (!buf)
		return err_sys(f->err, ENOMEM, "%s", f->m->what);
	while (from < to && f->to >= 0) {
		size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
		ssize_t n = pread(f->m->fd, buf, want, (off_t)from);

		if (n <= 0)
			return err_sys(f->err, n < 0 ? errno : EIO, "read %s", f->m->what);
		if (feed_bytes(f, buf, (size_t)n) < 0)
			return -1;
		from += (uint64_t)n;
	}
	return 0;
}

int mend_feed(const struct mend *m, const struct layer *below, size_t nbelow, int to,
	      struct qbx_err *err)
{
	struct feeding f = { .m = m, .below = below, .nbelow = nbelow, .to = to, .err = err };
	uint64_t at = 0;

	twalk_r(m->names, feed_missing, &f);
	if (f.r < 0)
		return -1;
	for (size_t i = 0; i < m->nskips; i++) {
		if (feed_span(&f, at, m->skips[i].from) < 0)
			return -1;
		at = m->skips[i].to;
	}
	return feed_span(&f, at, m->size);
}
