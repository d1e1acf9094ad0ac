/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - what was made once is not made again
 *
 * An entry is written to a file without a name (O_TMPFILE) and linked when it is complete, so
 * whoever dies on the way leaves nothing to sweep. Builders of the same entry take turns by a lock
 * on one byte of the file "lock", chosen by the entry's name; the kernel drops it with its holder.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "fs.h"
#include "io.h"

int cache_open(struct cache *c, const struct cli *cli, struct qbx_err *err)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->dry_run = cli->dry_run;
	if (asprintf(&c->dir, "%s/layers", cli->cfg.state_dir) < 0) {
		c->dir = NULL;
		return err_sys(err, ENOMEM, "open the cache");
	}
	if (!c->dry_run &&
	    (io_mkdirs(cli->cfg.state_dir, 0755, err) < 0 || io_mkdirs(c->dir, 0700, err) < 0))
		return -1;
	c->fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd < 0 && !(c->dry_run && errno == ENOENT))
		return err_sys(err, errno, "open %s", c->dir);
	return 0;
}

void cache_close(struct cache *c)
{
	free(c->dir);
	if (c->fd >= 0)
		close(c->fd);
}

char *cache_path(const struct cache *c, const char *name, struct qbx_err *err)
{
	char *path;

	if (asprintf(&path, "%s/%s", c->dir, name) >= 0)
		return path;
	err_sys(err, ENOMEM, "%s", name);
	return NULL;
}

bool cache_has(const struct cache *c, const char *name)
{
	return c->fd >= 0 && faccessat(c->fd, name, R_OK, 0) == 0;
}

/* The lock of one entry, held until the descriptor is closed. */
static int lock_entry(const struct cache *c, const char *name, struct qbx_err *err)
{
	_cleanup_close_ int fd =
		openat(c->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a: two names on one byte only cost a wait */

	if (fd < 0)
		return err_sys(err, errno, "open %s/lock", c->dir);
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3;
	l.l_start = (off_t)(h >> 2);
	while (fcntl(fd, F_OFD_SETLKW, &l) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "lock %s", c->dir);
	return take_fd(&fd);
}

/* Give a finished file its name. */
static int publish(const struct cache *c, int fd, const char *name, struct qbx_err *err)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* After a power cut too, a name must mean a complete file. */
	step("built", name);
	if (fchmod(fd, 0400) < 0 || fdatasync(fd) < 0)
		return err_sys(err, errno, "write %s/%s", c->dir, name);
	if (linkat(AT_FDCWD, self, c->fd, name, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(err, errno, "create %s/%s", c->dir, name);
	step("linked", name);
	return 0;
}

int cache_scratch(const struct cache *c, struct qbx_err *err)
{
	int fd = openat(c->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		err_sys(err, errno, "create a file without a name in %s", c->dir);
		return err_hint(err, "the state directory must be on a local file system: set "
				     "QEMUBOX_STATE_DIR");
	}
	return fd < 0 ? err_sys(err, errno, "create a file in %s", c->dir) : fd;
}

int cache_make(const struct cache *c, const char *name, cache_build_fn *build, void *arg,
	       struct qbx_err *err)
{
	_cleanup_close_ int lock = -1, fd = -1;

	if (cache_has(c, name))
		return 0;
	lock = lock_entry(c, name, err);
	if (lock < 0)
		return -1;
	if (cache_has(c, name))
		return 0;
	fd = cache_scratch(c, err);
	if (fd < 0)
		return -1;
	if (build(arg, fd, err) < 0)
		return -1;
	return publish(c, fd, name, err);
}
