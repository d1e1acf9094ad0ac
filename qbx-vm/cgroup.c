/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - the box's cgroup on the host */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "io.h"
#include "log.h"

#define OURS "qemubox"
#define KILL_MS 10000 /* until those that were killed are gone */

bool cgroup_usable(void)
{
	struct statfs fs;

	return statfs(CGROUP_MOUNT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* ---- names ---- */

/* A name between two slashes: nothing that leads up, nothing unprintable. */
static bool part_ok(const char *part, size_t len)
{
	if (len == 0 || len > NAME_MAX || (len <= 2 && !memcmp(part, "..", len)))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f)
			return false;
	return true;
}

int cgroup_check(const char *path, struct qbx_err *err)
{
	const char *p = path;

	for (;; p++) {
		size_t len = strcspn(p, "/");

		if (!part_ok(p, len))
			return err_code(err, EX_DATAERR, "cgroup \"%s\"", path);
		p += len;
		if (!*p)
			return strlen(path) < 3000 ? 0 : err_sys(err, ENAMETOOLONG, "cgroup");
	}
}

/*
 * "a-b.slice" lies in "a.slice", as systemd.slice(5) has it; "-.slice" is the top, and no name at all
 * is where system services are.
 */
static int expand_slice(const char *slice, size_t len, char *path, struct qbx_err *err)
{
	static const char suffix[] = ".slice";
	size_t stem = len - strlen(suffix);
	char *to = path;

	if (len == 0)
		return sprintf(path, "system.slice/");
	if (len <= strlen(suffix) || len > NAME_MAX ||
	    memcmp(slice + stem, suffix, strlen(suffix)) != 0 || memchr(slice, '/', len))
		return err_code(err, EX_DATAERR, "cgroup: \"%.*s\" is no slice", (int)len, slice);
	if (len == 7 && slice[0] == '-')
		return 0;
	for (size_t i = 1; i <= stem; i++)
		if (i == stem || slice[i] == '-')
			to += snprintf(to, NAME_MAX + 8, "%.*s.slice/", (int)i, slice);
	return (int)(to - path);
}

/* slice:prefix:name is the unit prefix-name.scope of that slice; a name that ends in .slice is one. */
static int systemd_path(const char *given, const char *colon, char path[PATH_MAX],
			struct qbx_err *err)
{
	const char *name = strchr(colon + 1, ':');
	char expanded[NAME_MAX * NAME_MAX];
	int n = expand_slice(given, (size_t)(colon - given), expanded, err), len;

	if (n < 0)
		return -1;
	if (!name || !name[1] || strchr(name + 1, ':') || strchr(given, '/'))
		return err_code(err, EX_DATAERR,
				"cgroup \"%s\" is not of the form slice:prefix:name", given);
	if (name == colon + 1)
		len = snprintf(path, PATH_MAX, "%.*s%s.scope", n, expanded, name + 1);
	else
		len = snprintf(path, PATH_MAX, "%.*s%.*s-%s.scope", n, expanded,
			       (int)(name - colon - 1), colon + 1, name + 1);
	return len < PATH_MAX ? 0 : err_sys(err, ENAMETOOLONG, "cgroup");
}

int cgroup_path(const char *given, const char *key, char path[PATH_MAX], struct qbx_err *err)
{
	const char *colon = given ? strchr(given, ':') : NULL;

	if (!given || !given[0]) {
		snprintf(path, PATH_MAX, OURS "/%s", key);
		return 0;
	}
	if (colon && given[0] != '/') {
		if (systemd_path(given, colon, path, err) < 0)
			return -1;
	} else {
		given += strspn(given, "/");
		if (snprintf(path, PATH_MAX, "%s", given) >= PATH_MAX)
			return err_sys(err, ENAMETOOLONG, "cgroup");
	}
	return cgroup_check(path, err);
}

/* ---- files ---- */

static int open_dir(const char *path)
{
	char full[2 * PATH_MAX];

	snprintf(full, sizeof(full), CGROUP_MOUNT "%s%s", path[0] ? "/" : "", path);
	return open(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int put(int dirfd, const char *name, const char *value)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : io_write_all(fd, value, strlen(value));
}

/* Is there any process in it, or below it? A cgroup that cannot be read has some. */
static bool is_populated(int events)
{
	char text[256];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return !strstr(text, "populated 0");
}

/* ---- making ---- */

/* What its parent passes on, a controller at a time: one that is missing does not cost the others. */
static void pass_on(int dirfd)
{
	static const char *const controllers[] = { "+memory", "+cpu", "+pids" };

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (put(dirfd, "cgroup.subtree_control", controllers[i]) < 0)
			log_debug("cgroup.subtree_control: %s: %s", controllers[i],
				  strerror(errno));
}

/* Every directory that leads to it, each passing controllers on to the next. */
static int make_dirs(const char *path, struct qbx_err *err)
{
	char part[PATH_MAX] = "";

	for (const char *p = path;; p++) {
		_cleanup_close_ int parent = open_dir(part);

		if (parent < 0)
			return err_sys(err, errno, "open cgroup /%s", part);
		pass_on(parent);
		p += strcspn(p, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		if (mkdirat(parent, strrchr(part, '/') ? strrchr(part, '/') + 1 : part, 0755) < 0 &&
		    errno != EEXIST)
			return err_sys(err, errno, "make cgroup /%s", part);
		if (!*p)
			return 0;
	}
}

static void limit(int dirfd, const char *path, const char *name, const char *value)
{
	if (put(dirfd, name, value) < 0)
		log_warn("cgroup /%s: %s cannot be set to %s: %s", path, name, value,
			 strerror(errno));
}

static void set_limits(int dirfd, const char *path, const struct cgroup_limits *limits)
{
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu64, limits->memory);
	limit(dirfd, path, "memory.max", text);
	/* Half a VM is of no use. */
	limit(dirfd, path, "memory.oom.group", "1");
	snprintf(text, sizeof(text), "%u", limits->pids);
	limit(dirfd, path, "pids.max", text);
}

int cgroup_make(const char *path, const struct cgroup_limits *limits, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1, events = -1;

	/* Again only when the box that went last took the directory above along. */
	while (make_dirs(path, err) < 0) {
		if (err->sys != ENOENT || !cgroup_usable())
			return err_hint(err, "QEMUBOX_RELAX=cgroup does without");
		err_forget(err);
	}
	dirfd = open_dir(path);
	events = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (dirfd < 0 || events < 0)
		return err_sys(err, errno, "open cgroup /%s", path);
	if (is_populated(events))
		return err_code(err, EX_TEMPFAIL, "cgroup /%s: there are processes in it", path);
	set_limits(dirfd, path, limits);
	return 0;
}

int cgroup_quota(const char *path, uint64_t quota_us, uint64_t period_us, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open_dir(path);
	char text[64] = "max";

	if (quota_us)
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, quota_us, period_us);
	if (dirfd >= 0 && put(dirfd, "cpu.max", text) == 0)
		return 0;
	if (errno == ENOENT && !quota_us)
		return 0; /* nothing holds it */
	return err_sys(err, errno, "cgroup /%s: set cpu.max to %s", path, text);
}

int cgroup_enter(const char *path, pid_t pid, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open_dir(path);
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (dirfd < 0 || put(dirfd, "cgroup.procs", text) < 0)
		return err_sys(err, errno, "enter cgroup /%s", path);
	return 0;
}

/* ---- removing ---- */

/* The last resort, for what the box's record does not name. */
static int kill_all(int dirfd, const char *path, struct qbx_err *err)
{
	_cleanup_close_ int events = openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p = { .fd = events, .events = POLLPRI };
	unsigned long long end = io_now_us() + KILL_MS * 1000ull, now;

	if (events < 0 || put(dirfd, "cgroup.kill", "1") < 0)
		return err_sys(err, errno, "kill what is in cgroup /%s", path);
	while (is_populated(events)) {
		now = io_now_us();
		if (now >= end)
			return err_sys(err, ETIMEDOUT, "kill what is in cgroup /%s", path);
		if (poll(&p, 1, (int)((end - now) / 1000) + 1) < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for cgroup /%s", path);
	}
	return 0;
}

int cgroup_remove(const char *path, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open_dir(path);
	char full[2 * PATH_MAX];

	if (dirfd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_sys(err, errno, "open cgroup /%s", path);
	snprintf(full, sizeof(full), CGROUP_MOUNT "/%s", path);
	if (rmdir(full) < 0 && errno == EBUSY) {
		if (kill_all(dirfd, path, err) < 0)
			return -1;
		(void)rmdir(full);
	}
	if (access(full, F_OK) == 0)
		return err_sys(err, EBUSY, "remove cgroup /%s", path);
	/* What lies above a path that was given is not ours. */
	if (!strncmp(path, OURS "/", strlen(OURS "/")))
		(void)rmdir(CGROUP_MOUNT "/" OURS);
	return 0;
}
