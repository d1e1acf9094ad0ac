/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - a tar archive as a stream of bytes that are known by their digest */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "io.h"
#include "tar.h"

#define CHUNK (256u << 10)

static ssize_t read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n;
}

int source_probe(struct source *s, struct qbx_err *err)
{
	uint8_t b[TAR_BLOCK] = { 0 };
	struct tar_header h;
	ssize_t n = read_at(s->fd, b, s->len < sizeof(b) ? s->len : sizeof(b), s->offset);

	if (n < 0)
		return err_sys(err, errno, "read %s", s->what);
	s->packing = PACK_NONE;
	if (n >= 2 && !memcmp(b, "\x1f\x8b", 2))
		s->packing = PACK_GZIP;
	else if (n >= 4 && !memcmp(b, "\x28\xb5\x2f\xfd", 4))
		s->packing = PACK_ZSTD;
	else if (n < (ssize_t)sizeof(b) || tar_header_decode(b, &h) < 0)
		return err_code(err, EX_DATAERR,
				"%s: not a tar archive, plain or packed with gzip or zstd",
				s->what);
	return 0;
}

/* Read it all into @sha and, unless @to is -1, there. */
static int pass(const struct source *s, SHA2_CTX *sha, int to, struct qbx_err *err)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);

	if (!buf)
		return err_sys(err, ENOMEM, "read %s", s->what);
	for (uint64_t done = 0; done < s->len;) {
		uint64_t left = s->len - done;
		ssize_t n = read_at(s->fd, buf, left < CHUNK ? left : CHUNK, s->offset + done);

		if (n < 0)
			return err_sys(err, errno, "read %s", s->what);
		if (n == 0)
			return err_code(err, EX_DATAERR, "%s: truncated", s->what);
		SHA256Update(sha, buf, (size_t)n);
		if (to >= 0 && io_write_all(to, buf, (size_t)n) < 0) {
			if (errno != EPIPE)
				return err_sys(err, errno, "pass %s on", s->what);
			to = -1; /* a reader may stop at the archive's end mark, or fail: ask it */
		}
		done += (uint64_t)n;
	}
	return 0;
}

int source_digest(struct source *s, struct qbx_err *err)
{
	SHA2_CTX sha;

	SHA256Init(&sha);
	if (pass(s, &sha, -1, err) < 0)
		return -1;
	SHA256End(&sha, s->digest);
	return 0;
}

int source_feed(const struct source *s, int to, struct qbx_err *err)
{
	char hex[SHA256_HEX_LEN + 1];
	SHA2_CTX sha;

	SHA256Init(&sha);
	if (pass(s, &sha, to, err) < 0)
		return -1;
	SHA256End(&sha, hex);
	if (strcmp(hex, s->digest) != 0)
		return err_code(err, EX_DATAERR, "%s: its digest is sha256:%s, not sha256:%s",
				s->what, hex, s->digest);
	return 0;
}
