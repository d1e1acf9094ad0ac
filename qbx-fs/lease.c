/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.c - which files of the cache a box needs
 *
 * "leases/KEY.json" lists them, from prepare to release: an object whose
 * "files" is an array of absolute paths. That of a box
 * without a directory in run_dir counts for LEASE_SECONDS, in which a box that was prepared may start.
 * While prepare runs it shares the lock on one byte of the cache's file "lock", which gc has alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "fs.h"
#include "json.h"

#define GC_BYTE (INT64_C(1) << 62) /* behind those of entries: cache.c */

int lease_lock(const struct cache *c, bool alone, struct qbx_err *err)
{
	_cleanup_close_ int fd =
		openat(c->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct flock l = { .l_type = alone ? F_WRLCK : F_RDLCK,
			   .l_whence = SEEK_SET,
			   .l_start = GC_BYTE,
			   .l_len = 1 };

	if (fd < 0)
		return err_sys(err, errno, "open %s/lock", c->dir);
	while (fcntl(fd, F_OFD_SETLKW, &l) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "lock %s", c->dir);
	return take_fd(&fd);
}

int lease_write(const struct cache *c, const char *key, const json_t *files, struct qbx_err *err)
{
	json_auto_t *lease = json_pack("{s:O}", "files", files);
	_cleanup_close_ int dir = -1;
	char name[NAME_MAX + 1];

	if (mkdirat(c->fd, "leases", 0700) == 0)
		step("directory", "leases");
	else if (errno != EEXIST)
		return err_sys(err, errno, "create %s/leases", c->dir);
	dir = openat(c->fd, "leases", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, errno, "open %s/leases", c->dir);
	snprintf(name, sizeof(name), "%s.json", key);
	return json_write_file(dir, name, 0600, lease, err);
}

int lease_drop(const struct config *cfg, const char *key, struct qbx_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/layers/leases/%s.json", cfg->state_dir, key);
	if (unlink(path) == 0)
		step("removed", path);
	else if (errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, errno, "remove %s", path);
	return 0;
}
