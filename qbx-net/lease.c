/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - what undoing a box's network needs, on disk where a reboot leaves it */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "io.h"
#include "json.h"
#include "net.h"

#define LEASE_VERSION 1

/* A lease on its way to its name; a fixed one, to be found again after kill -9. */
#define NEW ".json.new"

static int lease_path(const struct config *cfg, const char *key, const char *end,
		      char path[PATH_MAX], struct qbx_err *err)
{
	if (snprintf(path, PATH_MAX, "%s/leases/%s%s", cfg->state_dir, key, end) >= PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "lease of %s", key);
	return 0;
}

void lease_free(struct lease *l)
{
	conf_free(&l->conf);
	json_decref(l->result);
	json_decref(l->net);
	memset(l, 0, sizeof(*l));
}

static int lease_from_json(struct lease *l, const json_t *j, const char *path, struct qbx_err *err)
{
	json_t *list = NULL, *result = NULL, *net = NULL;
	const char *conf_path = "";
	json_int_t started;
	int version, owned, tap;
	json_error_t je;

	if (json_unpack_ex((json_t *)j, &je, 0, "{s:i, s:b, s:b, s:I, s?s, s?o, s?o, s?o}", "lease",
			   &version, "owned", &owned, "tap", &tap, "started", &started, "conf_path",
			   &conf_path, "conf", &list, "result", &result, "net", &net) < 0)
		return err_code(err, EX_DATAERR, "%s: %s", path, je.text);
	if (version != LEASE_VERSION)
		return err_code(err, EX_DATAERR, "%s: lease version %d, only %d is understood",
				path, version, LEASE_VERSION);
	if (list && conf_take(&l->conf, json_incref(list), conf_path, err) < 0)
		return err_wrap(err, "%s", path);
	if (started < 0 || (size_t)started > conf_count(&l->conf))
		return err_code(err, EX_DATAERR, "%s: \"started\" is out of range", path);
	l->owned = owned;
	l->tap = tap;
	l->started = (size_t)started;
	l->result = json_incref(result);
	l->net = json_incref(net);
	return 0;
}

int lease_read(const struct config *cfg, const char *key, struct lease *l, struct qbx_err *err)
{
	json_auto_t *j = NULL;
	char path[PATH_MAX];

	memset(l, 0, sizeof(*l));
	if (lease_path(cfg, key, ".json", path, err) < 0)
		return -1;
	j = json_read_file(AT_FDCWD, path, err);
	if (!j && err->sys == ENOENT) {
		err_forget(err);
		return 0;
	}
	if (!j || lease_from_json(l, j, path, err) < 0) {
		lease_free(l);
		return err_hint(err, "qbx-net del goes by the present configuration instead");
	}
	return 1;
}

int lease_write(const struct config *cfg, const char *key, const struct lease *l,
		struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	json_auto_t *j = NULL;
	char path[PATH_MAX], new[PATH_MAX];

	if (lease_path(cfg, key, ".json", path, err) < 0 || lease_path(cfg, key, NEW, new, err) < 0)
		return -1;
	j = json_pack("{s:i, s:b, s:b, s:I, s:O*, s:O*, s:O*}", "lease", LEASE_VERSION, "owned",
		      l->owned, "tap", l->tap, "started", (json_int_t)l->started, "conf",
		      l->conf.list, "result", l->result, "net", l->net);
	if (!j ||
	    (l->conf.list && json_object_set_new(j, "conf_path", json_string(l->conf.path)) < 0))
		return err_sys(err, ENOMEM, "write %s", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "create %s", new);
	if (json_write_fd(fd, j, new, err) < 0)
		return -1;
	return rename(new, path) < 0 ? err_sys(err, errno, "write %s", path) : 0;
}

int lease_remove(const struct config *cfg, const char *key, struct qbx_err *err)
{
	char path[PATH_MAX];

	if (lease_path(cfg, key, ".json", path, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	return 0;
}

int lease_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
	       struct qbx_err *err)
{
	char dir[PATH_MAX], new[PATH_MAX];

	lock->fd = -1;
	snprintf(dir, sizeof(dir), "%s/leases", cfg->state_dir);
	if (lease_path(cfg, key, ".lock", lock->path, err) < 0 ||
	    lease_path(cfg, key, NEW, new, err) < 0)
		return -1;
	if (io_mkdirs(cfg->state_dir, 0755, err) < 0 || io_mkdirs(dir, 0700, err) < 0)
		return err->code == EX_NOPERM ? err_hint(err, "run it as root") : -1;
	for (;;) {
		_cleanup_close_ int fd =
			open(lock->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat held, now;

		if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &held) < 0)
			return err_sys(err, errno, "take lock %s", lock->path);
		/* Whoever held it has removed the file; if another is there by now, wait for it. */
		if (stat(lock->path, &now) < 0 || held.st_ino != now.st_ino ||
		    held.st_dev != now.st_dev)
			continue;
		lock->fd = take_fd(&fd);
		unlink(new); /* of a holder that was killed */
		return 0;
	}
}

void lease_unlock(struct lease_lock *lock)
{
	if (lock->fd < 0)
		return;
	unlink(lock->path);
	close(take_fd(&lock->fd));
}
