/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.c - what undoing a box's network needs, on disk where a reboot leaves it
 *
 * A lease is one JSON object on a line. While it grows, each step appends it once more, as another file
 * takes ten times as long: the last whole one counts.
 */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "conf.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "networks.h"
#include "size.h"
#include "step.h"

#define LEASE_VERSION 2
#define LEASE_OLD 1 /* of one network, with the TAP tap0; still undone */
#define OLD_IFNAME "eth0"

/* A lease on its way to its name; a fixed one, to be found again after kill -9. */
#define NEW ".json.new"

#define STATE_HINT "state_dir of qemubox.conf(5) is where"

static int lease_path(const struct config *cfg, const char *key, const char *end,
		      char path[PATH_MAX], struct qbx_err *err)
{
	if (snprintf(path, PATH_MAX, "%s/leases/%s%s", cfg->state_dir, key, end) >= PATH_MAX)
		return err_sys(err, ENAMETOOLONG, "lease of %s", key);
	return 0;
}

void lease_free(struct lease *l)
{
	for (size_t i = 0; i < l->nnets; i++)
		attachment_free(&l->nets[i]);
	json_decref(l->net);
	free(l->given);
	memset(l, 0, sizeof(*l));
}

static int copy_name(char to[IFNAMSIZ], const char *name, struct qbx_err *err)
{
	if (strlen(name) >= IFNAMSIZ)
		return err_code(err, EX_DATAERR, "\"%.20s\" is no name of an interface", name);
	memcpy(to, name, strlen(name) + 1);
	return 0;
}

static int attachment_from_json(struct attachment *at, const json_t *j, struct qbx_err *err)
{
	const char *ifname, *name = NULL, *tap = "", *nic = "", *conf_path = "", *version = NULL;
	json_t *list = NULL, *caps = NULL, *args = NULL, *result = NULL;
	json_int_t started;
	json_error_t je;

	if (json_unpack_ex((json_t *)j, &je, 0,
			   "{s:s, s?s, s?s, s?s, s?s, s?s, s?o, s:I, s?o, s?o, s?o}", "ifname",
			   &ifname, "name", &name, "tap", &tap, "nic", &nic, "version", &version,
			   "conf_path", &conf_path, "conf", &list, "started", &started, "caps",
			   &caps, "args", &args, "result", &result) < 0)
		return err_code(err, EX_DATAERR, "%s", je.text);
	if (strlen(nic) >= sizeof(at->nic))
		return err_code(err, EX_DATAERR, "\"nic\" is no MAC");
	snprintf(at->nic, sizeof(at->nic), "%s", nic);
	if (copy_name(at->ifname, ifname, err) < 0 ||
	    copy_name(at->name, name ? name : ifname, err) < 0 ||
	    copy_name(at->tap, tap, err) < 0 ||
	    (list && conf_take(&at->conf, json_incref(list), conf_path, err) < 0))
		return -1;
	if (started < 0 || (size_t)started > conf_count(&at->conf))
		return err_code(err, EX_DATAERR, "\"started\" is out of range");
	if (conf_knows(version))
		conf_speak(&at->conf, conf_version_bit(version));
	at->started = (size_t)started;
	at->caps = json_incref(caps);
	at->args = json_incref(args);
	at->result = json_incref(result);
	return 0;
}

static int nets_from_json(struct lease *l, const json_t *nets, struct qbx_err *err)
{
	json_t *j;
	size_t i;

	if (!json_is_array(nets) || json_array_size(nets) > NET_ATTACHED_MAX)
		return err_code(err, EX_DATAERR, "\"networks\" must be an array of at most %u",
				NET_ATTACHED_MAX);
	json_array_foreach ((json_t *)nets, i, j)
		if (attachment_from_json(&l->nets[l->nnets++], j, err) < 0)
			return -1;
	return 0;
}

/* The first version had these keys in the lease itself. */
static int old_from_json(struct lease *l, const json_t *j, struct qbx_err *err)
{
	json_auto_t *one = json_copy((json_t *)j);
	json_t *tap = json_object_get(j, "tap");

	if (!json_is_boolean(tap) || !json_is_integer(json_object_get(j, "started")))
		return err_code(err, EX_DATAERR, "\"tap\" or \"started\" is missing");
	if (!json_object_get(j, "conf"))
		return json_integer_value(json_object_get(j, "started"))
			       ? err_code(err, EX_DATAERR, "\"started\" is out of range")
			       : 0;
	json_object_set_new(one, "ifname", json_string(OLD_IFNAME));
	json_object_set_new(one, "tap", json_string(json_is_true(tap) ? "tap0" : ""));
	return attachment_from_json(&l->nets[l->nnets++], one, err);
}

static int given_from_json(struct lease *l, const json_t *given, struct qbx_err *err)
{
	const char *path;
	json_int_t dev, ino;
	json_error_t je;

	if (json_unpack_ex((json_t *)given, &je, 0, "{s:s, s:I, s:I}", "path", &path, "dev", &dev,
			   "ino", &ino) < 0)
		return err_code(err, EX_DATAERR, "given: %s", je.text);
	l->given = strdup(path);
	l->given_id = (struct netns_id){ (unsigned long long)dev, (unsigned long long)ino };
	return l->given ? 0 : err_sys(err, ENOMEM, "given");
}

static int lease_from_json(struct lease *l, const json_t *j, struct qbx_err *err)
{
	json_t *nets = NULL, *net = NULL, *owner = NULL, *given = NULL;
	int version, owned, standin = 0, queues = 1;
	json_error_t je;

	if (json_unpack_ex((json_t *)j, &je, 0, "{s:i, s:b, s?b, s?i, s?o, s?o, s?o, s?o}", "lease",
			   &version, "owned", &owned, "standin", &standin, "queues", &queues,
			   "given", &given, "networks", &nets, "owner", &owner, "net", &net) < 0)
		return err_code(err, EX_DATAERR, "%s", je.text);
	if (queues < 1 || queues > (int)SIZE_QUEUES_MAX)
		return err_code(err, EX_DATAERR, "\"queues\" must be from 1 to %u",
				SIZE_QUEUES_MAX);
	if ((owner && proc_from_json(owner, &l->owner, err) < 0) ||
	    (given && given_from_json(l, given, err) < 0))
		return -1;
	l->owned = owned;
	l->standin = standin;
	l->queues = (unsigned)queues;
	l->net = json_incref(net);
	if (version == LEASE_VERSION)
		return nets_from_json(l, nets, err);
	if (version == LEASE_OLD)
		return old_from_json(l, j, err);
	return err_code(err, EX_DATAERR, "lease version %d, only %d and %d are understood", version,
			LEASE_OLD, LEASE_VERSION);
}

/* The last whole object; what follows it is of a write that did not come to its end. */
static json_t *last_of(const char *text, size_t len, const char *path, struct qbx_err *err)
{
	json_t *last = NULL, *j;
	json_error_t at = { 0 };

	for (size_t used = 0; used < len; used += (size_t)at.position) {
		j = json_loadb(text + used, len - used,
			       JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &at);
		if (!j)
			break;
		json_decref(last);
		last = j;
	}
	return last ? last : json_parse(text, len, path, err);
}

static json_t *read_last(const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (io_read_file(AT_FDCWD, path, JSON_FILE_MAX, &text, &len, err) < 0)
		return NULL;
	return last_of(text, len, path, err);
}

int lease_read(const struct config *cfg, const char *key, struct lease *l, struct qbx_err *err)
{
	json_auto_t *j = NULL;
	char path[PATH_MAX];

	memset(l, 0, sizeof(*l));
	if (lease_path(cfg, key, ".json", path, err) < 0)
		return -1;
	j = read_last(path, err);
	if (!j && err->sys == ENOENT) {
		err_forget(err);
		return 0;
	}
	if (j && lease_from_json(l, j, err) < 0) {
		err_wrap(err, "%s", path);
		json_decref(take_ptr(j));
	}
	if (!j) {
		lease_free(l);
		return err_hint(err, "qbx-net del goes by the present configuration instead");
	}
	return 1;
}

static json_t *attachment_to_json(const struct attachment *at)
{
	return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s, s:O*, s:I, s:O*, s:O*, s:O*}", "ifname",
			 at->ifname, "name", at->name, "tap", at->tap, "nic",
			 at->nic[0] ? at->nic : NULL, "version", at->conf.version, "conf_path",
			 at->conf.path, "conf", at->conf.list, "started", (json_int_t)at->started,
			 "caps", at->caps, "args", at->args, "result", at->result);
}

static json_t *given_to_json(const struct lease *l)
{
	if (!l->given)
		return NULL;
	return json_pack("{s:s, s:I, s:I}", "path", l->given, "dev", (json_int_t)l->given_id.dev,
			 "ino", (json_int_t)l->given_id.ino);
}

static json_t *lease_to_json(const struct lease *l)
{
	json_auto_t *nets = json_array();

	for (size_t i = 0; i < l->nnets; i++)
		if (json_array_append_new(nets, attachment_to_json(&l->nets[i])) < 0)
			return NULL;
	return json_pack("{s:i, s:b, s:b, s:I, s:o*, s:O, s:o*, s:O*}", "lease", LEASE_VERSION,
			 "owned", l->owned, "standin", l->standin, "queues",
			 (json_int_t)(l->queues ? l->queues : 1), "given", given_to_json(l),
			 "networks", nets, "owner", l->owner.pid ? proc_to_json(&l->owner) : NULL,
			 "net", l->net);
}

int lease_write(const struct config *cfg, const char *key, const struct lease *l,
		struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	json_auto_t *j = lease_to_json(l);
	char path[PATH_MAX], new[PATH_MAX];

	if (lease_path(cfg, key, ".json", path, err) < 0 || lease_path(cfg, key, NEW, new, err) < 0)
		return -1;
	if (!j)
		return err_sys(err, ENOMEM, "write %s", path);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(err, errno, "create %s", new);
		return err_hint(err, STATE_HINT);
	}
	if (json_write_fd(fd, j, new, err) < 0) {
		unlink(new);
		return -1;
	}
	step("lease-new", key);
	if (rename(new, path) < 0)
		return err_sys(err, errno, "write %s", path);
	step("lease", key);
	return 0;
}

int lease_append(const struct config *cfg, const char *key, const struct lease *l,
		 struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	json_auto_t *j = lease_to_json(l);
	char path[PATH_MAX];
	struct stat was;

	if (lease_path(cfg, key, ".json", path, err) < 0)
		return -1;
	if (!j)
		return err_sys(err, ENOMEM, "write %s", path);
	fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &was) < 0)
		return err_sys(err, errno, "open %s", path);
	if (json_write_fd(fd, j, path, err) < 0) {
		if (ftruncate(fd, was.st_size) < 0)
			log_debug("%s: %s", path, strerror(errno));
		return -1;
	}
	/* Begun only, and not waited for: as many file systems do when a file is replaced by a name. */
	if (l->net && sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) < 0)
		log_debug("%s: %s", path, strerror(errno));
	step("lease", key);
	return 0;
}

int lease_remove(const struct config *cfg, const char *key, struct qbx_err *err)
{
	char path[PATH_MAX];

	if (lease_path(cfg, key, ".json", path, err) < 0)
		return -1;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	step("lease-removed", key);
	return 0;
}

static int lock_dir(const char *dir, int how, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, how) < 0)
		return err_sys(err, errno, "lock %s", dir);
	return take_fd(&fd);
}

static int make_dirs(const struct config *cfg, char dir[PATH_MAX], struct qbx_err *err)
{
	snprintf(dir, PATH_MAX, "%s/leases", cfg->state_dir);
	if (io_mkdirs(cfg->state_dir, 0755, err) == 0 && io_mkdirs(dir, 0700, err) == 0)
		return 0;
	return err_hint(err, err->code == EX_NOPERM ? "run it as root" : STATE_HINT);
}

/* Return: 1, or 0 if it is taken and @how says not to wait, or -1 with @err. */
static int take_file(struct lease_lock *lock, int how, struct qbx_err *err)
{
	lock->fd = io_open_locked(AT_FDCWD, lock->path, O_CREAT, how);
	if (lock->fd >= 0)
		return 1;
	if (errno == EWOULDBLOCK)
		return 0;
	err_sys(err, errno, "take lock %s", lock->path);
	return err_hint(err, STATE_HINT);
}

static int take_lock(const struct config *cfg, const char *key, struct lease_lock *lock, int how,
		     struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	char dir[PATH_MAX], new[PATH_MAX];
	int got;

	lock->fd = lock->dirfd = -1;
	if (lease_path(cfg, key, ".lock", lock->path, err) < 0 ||
	    lease_path(cfg, key, NEW, new, err) < 0 || make_dirs(cfg, dir, err) < 0)
		return -1;
	dirfd = lock_dir(dir, LOCK_SH, err);
	step("directory", dir);
	got = dirfd < 0 ? -1 : take_file(lock, how, err);
	if (got <= 0)
		return got;
	lock->dirfd = take_fd(&dirfd);
	step("lock", key);
	/* What a holder that was killed has left. */
	unlink(new);
	orphan_end(lock, key);
	return 1;
}

int lease_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
	       struct qbx_err *err)
{
	return take_lock(cfg, key, lock, LOCK_EX, err) < 0 ? -1 : 0;
}

int lease_try_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
		   struct qbx_err *err)
{
	return take_lock(cfg, key, lock, LOCK_EX | LOCK_NB, err);
}

int lease_lock_all(const struct config *cfg, struct qbx_err *err)
{
	char dir[PATH_MAX];

	return make_dirs(cfg, dir, err) < 0 ? -1 : lock_dir(dir, LOCK_EX, err);
}

bool lease_busy(const struct config *cfg, const char *key)
{
	struct qbx_err none = { 0 };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (lease_path(cfg, key, ".lock", path, &none) < 0)
		return false;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}

int lease_box(const char *key, size_t len, struct box *box)
{
	const char *dashes = memmem(key, len, "--", 2);
	struct qbx_err none = { 0 };
	json_t *doc;

	if (!dashes)
		return -1;
	doc = json_pack("{s:i, s:s%, s:s%}", "qbx", 1, "namespace", key, (size_t)(dashes - key),
			"id", dashes + 2, len - (size_t)(dashes + 2 - key));
	return doc ? box_take(box, doc, key, &none) : -1;
}

void lease_unlock(struct lease_lock *lock)
{
	if (lock->fd < 0)
		return;
	unlink(lock->path);
	step("unlocked", lock->path);
	close(take_fd(&lock->fd));
	close(take_fd(&lock->dirfd));
}
