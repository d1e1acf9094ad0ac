/* SPDX-License-Identifier: Apache-2.0 */
/* writable.c - what a container writes to */
#include "writable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include "ext4.h"
#include "fs.h"
#include "io.h"
#include "log.h"

#define SUFFIX ".ext4"
#define COPY_BYTES 65536
#define ID_XATTR "trusted.qemubox.disk"
#define SUPERBLOCK_AT 1024 /* and as many bytes */
#define SUPERBLOCK_LEN 1024

/* ---- what is asked for ---- */

static int choose_size(struct writable *w, const struct config *cfg, const struct box *box,
		       struct qbx_err *err)
{
	const json_t *mib = json_object_get(box->doc, "writable_mib");
	json_int_t n = json_integer_value(mib);

	/* Without a word on it a tmpfs is half of the guest's memory, as everywhere. */
	w->mib = w->disk ? cfg->writable_mib : 0;
	if (!mib)
		return 0;
	if (n < CONFIG_WRITABLE_MIN_MIB || n > CONFIG_WRITABLE_MAX_MIB)
		return err_code(err, EX_DATAERR,
				"\"writable_mib\": %" JSON_INTEGER_FORMAT
				" is not between %u and %u",
				n, CONFIG_WRITABLE_MIN_MIB, CONFIG_WRITABLE_MAX_MIB);
	w->mib = (unsigned)n;
	return 0;
}

static int choose_kind(struct writable *w, const struct config *cfg, const struct box *box,
		       struct qbx_err *err)
{
	const char *kind = json_string_value(json_object_get(box->doc, "writable"));

	if (!kind)
		kind = cfg->writable;
	w->disk = !strcmp(kind, "disk");
	if (w->disk || !strcmp(kind, "tmpfs"))
		return 0;
	return err_code(err, EX_DATAERR, "\"writable\": \"%s\" is none of disk, tmpfs", kind);
}

/* "/dir/fs" has its file at "/dir/fs.ext4". */
static int choose_path(struct writable *w, const struct config *cfg, const struct box *box,
		       const char *upper, struct qbx_err *err)
{
	size_t len = upper ? strlen(upper) : 0;
	int n;

	while (len > 1 && upper[len - 1] == '/')
		len--;
	w->kept = upper != NULL;
	n = upper ? asprintf(&w->path, "%.*s" SUFFIX, (int)len, upper)
		  : asprintf(&w->path, "%s/writable/%s" SUFFIX, cfg->state_dir, box->key);
	if (n >= 0)
		return 0;
	w->path = NULL;
	return err_sys(err, ENOMEM, "rootfs");
}

/* A runtime of the host's would show the container the upper directory's own mode and owner. */
static int copy_root(struct writable *w, const char *dir, struct qbx_err *err)
{
	struct stat st;

	if (stat(dir, &st) < 0)
		return err_sys(err, errno, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_code(err, EX_DATAERR, "%s: not a directory", dir);
	w->root = true;
	w->mode = st.st_mode & 07777;
	w->uid = st.st_uid;
	w->gid = st.st_gid;
	return 0;
}

/* The one that makes the root file system: the last. */
static const json_t *last_mount(const struct box *box)
{
	const json_t *rootfs = json_object_get(box->doc, "rootfs");
	size_t n = json_array_size(rootfs);

	return n > 0 ? json_array_get(rootfs, n - 1) : NULL;
}

static bool is_type(const json_t *mount, const char *type)
{
	const char *its = json_string_value(json_object_get(mount, "type"));

	return its && !strcmp(its, type);
}

/* overlayfs's escapes: a backslash takes the character after it as it is. */
static char *unescape(const char *text)
{
	char *copy = strdup(text), *to = copy;

	if (!copy)
		return NULL;
	for (; *text; text++) {
		text += *text == '\\' && text[1];
		*to++ = *text;
	}
	*to = '\0';
	return copy;
}

int writable_upper(const struct box *box, char **upper, struct qbx_err *err)
{
	const json_t *mount = last_mount(box), *option;
	const char *found = NULL;
	size_t i;

	*upper = NULL;
	json_array_foreach (json_object_get(mount, "options"), i, option) {
		const char *text = json_string_value(option);

		if (text && !strncmp(text, "upperdir=", 9))
			found = text + 9;
	}
	if (!found || !is_type(mount, "overlay"))
		return 0;
	if (found[0] != '/' || !found[strspn(found, "/")])
		return err_code(err, EX_DATAERR, "rootfs: upperdir \"%s\" is not an absolute path",
				found);
	*upper = unescape(found);
	return *upper ? 0 : err_sys(err, ENOMEM, "rootfs");
}

/* That of a snapshot that has gone may be in a document that is used once more. */
static int find_upper(const struct box *box, char **upper, struct qbx_err *err)
{
	if (writable_upper(box, upper, err) < 0)
		return -1;
	if (!*upper || access(*upper, F_OK) == 0 || errno != ENOENT)
		return 0;
	log_warn("%s is not there: what box %s writes goes with the box", *upper, box->key);
	free(take_ptr(*upper));
	return 0;
}

int writable_choose(struct writable *w, const struct config *cfg, const struct box *box,
		    bool readonly, struct qbx_err *err)
{
	_cleanup_free_ char *upper = NULL;
	const json_t *mount = last_mount(box);
	const char *root;

	memset(w, 0, sizeof(*w));
	w->mode = 0755;
	if (choose_kind(w, cfg, box, err) < 0)
		return -1;
	w->disk &= !readonly;
	if (choose_size(w, cfg, box, err) < 0 || find_upper(box, &upper, err) < 0)
		return -1;
	root = is_type(mount, "bind") ? json_string_value(json_object_get(mount, "source")) : upper;
	if (root && copy_root(w, root, err) < 0)
		return -1;
	if (w->disk && choose_path(w, cfg, box, upper, err) < 0)
		return -1;
	w->upper = take_ptr(upper);
	if (!json_is_true(json_object_get(box->doc, "commit")) || (w->disk && w->kept))
		return 0;
	err_code(err, EX_DATAERR, "\"commit\": %s",
		 w->upper ? "what the container writes is on no disk"
			  : "the root file system has no upper directory");
	writable_free(w);
	return -1;
}

void writable_free(struct writable *w)
{
	free(take_ptr(w->path));
	free(take_ptr(w->upper));
}

/* ---- its number ---- */

bool writable_id(int fd, char id[WRITABLE_ID_LEN + 1])
{
	ssize_t n = fgetxattr(fd, ID_XATTR, id, WRITABLE_ID_LEN);

	id[n > 0 ? n : 0] = '\0';
	return n == WRITABLE_ID_LEN && strspn(id, "0123456789abcdef") == WRITABLE_ID_LEN;
}

int writable_name(int fd, const char *path, char id[WRITABLE_ID_LEN + 1], struct qbx_err *err)
{
	uint64_t v[2];

	if (writable_id(fd, id))
		return 0;
	if (getrandom(v, sizeof(v), 0) != sizeof(v))
		return err_sys(err, errno, "a number for %s", path);
	snprintf(id, WRITABLE_ID_LEN + 1, "%016llx%016llx", (unsigned long long)v[0],
		 (unsigned long long)v[1]);
	return fsetxattr(fd, ID_XATTR, id, WRITABLE_ID_LEN, 0) < 0
		       ? err_sys(err, errno, "number %s", path)
		       : 0;
}

int writable_state(int fd, const char *path, char hex[SHA256_HEX_LEN + 1], struct qbx_err *err)
{
	uint8_t buf[SUPERBLOCK_LEN] = { 0 };
	struct stat st;
	SHA2_CTX sha;
	uint64_t v[3];

	if (fstat(fd, &st) < 0 || pread(fd, buf, sizeof(buf), SUPERBLOCK_AT) < 0)
		return err_sys(err, errno, "read %s", path);
	v[0] = (uint64_t)st.st_size;
	v[1] = (uint64_t)st.st_mtim.tv_sec;
	v[2] = (uint64_t)st.st_mtim.tv_nsec;
	SHA256Init(&sha);
	digest_add(&sha, v, sizeof(v));
	digest_add(&sha, buf, sizeof(buf));
	SHA256End(&sha, hex);
	return 0;
}

/* ---- the file ---- */

/* Is it there, and a file? Nothing more is asked of it. Return: 1, 0, or -1 with @err. */
static int look(const char *path, struct qbx_err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "look at %s", path);
	return S_ISREG(st.st_mode) ? 1 : err_code(err, EX_DATAERR, "%s: not a regular file", path);
}

/* From one place to the next hole. Return: where it ends, or -1 with errno. */
static off_t copy_extent(int from, int to, off_t at, char *buf)
{
	off_t end = lseek(from, at, SEEK_HOLE);

	while (at < end) {
		size_t want = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		ssize_t n = pread(from, buf, want, at);

		if (n == 0)
			errno = EIO; /* it got shorter */
		if (n > 0)
			n = pwrite(to, buf, (size_t)n, at);
		if (n <= 0)
			return -1;
		at += n;
	}
	return end;
}

/* The parts of @from that hold something, at their places in @to. Return: 0, or -1 with errno. */
static int copy_data(int from, int to)
{
	_cleanup_free_ char *buf = malloc(COPY_BYTES);
	off_t at = 0;

	if (!buf)
		return -1;
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		at = copy_extent(from, to, at, buf);
		if (at < 0)
			return -1;
	}
	return errno == ENXIO ? 0 : -1; /* nothing but a hole is left */
}

/* A copy of the empty file system in a file without a name. Return: descriptor, or -1 with @err. */
static int copy(const char *template, int dirfd, const char *dir, struct qbx_err *err)
{
	_cleanup_close_ int from = open(template, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int to = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct stat st;

	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(err, errno, "open %s", template);
	if (to < 0)
		return err_sys(err, errno, "create a file in %s", dir);
	/* After a power cut too, a name must mean a complete file. */
	if (ftruncate(to, st.st_size) < 0 || copy_data(from, to) < 0 || fdatasync(to) < 0)
		return err_sys(err, errno, "copy %s to %s", template, dir);
	return take_fd(&to);
}

/* Of several who make the same one, one is the first. */
static int publish(const struct writable *w, int fd, int dirfd, const char *name,
		   struct qbx_err *err)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!w->kept && unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", w->path);
	step("copied", w->path);
	if (linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW) < 0 &&
	    (errno != EEXIST || !w->kept))
		return err_sys(err, errno, "create %s", w->path);
	step("linked", w->path);
	return 0;
}

static int make(const struct writable *w, const char *template, struct qbx_err *err)
{
	_cleanup_free_ char *dir = strdup(w->path);
	_cleanup_close_ int dirfd = -1, fd = -1;
	char *slash, id[WRITABLE_ID_LEN + 1];
	struct qbx_err ignored = { 0 };

	if (!dir)
		return err_sys(err, ENOMEM, "%s", w->path);
	slash = strrchr(dir, '/');
	*slash = '\0';
	if (!w->kept && io_mkdirs(dir, 0700, err) < 0)
		return -1;
	dirfd = open(slash > dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, errno, "open %s", dir);
	fd = copy(template, dirfd, dir, err);
	if (fd < 0)
		return -1;
	/* Where that cannot be kept it is export that fails. */
	if (w->kept && writable_name(fd, w->path, id, &ignored) < 0)
		log_debug("%s", ignored.msg);
	return publish(w, fd, dirfd, slash + 1, err);
}

int writable_given(struct writable *w, const char *path, bool readonly, struct qbx_err *err)
{
	int there = look(path, err);

	memset(w, 0, sizeof(*w));
	w->mode = 0755;
	if (there <= 0)
		return there < 0 ? -1 : err_sys(err, ENOENT, "rootfs: %s", path);
	if (readonly)
		return 0;
	w->disk = w->kept = true;
	w->path = strdup(path);
	return w->path ? 0 : err_sys(err, ENOMEM, "rootfs");
}

/*
 * Of several who make it anew one removes the old, and none what another has made. An export of it is
 * waited for.
 */
static int remove_old(const struct writable *w, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(w->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char now[SHA256_HEX_LEN + 1];
	struct stat its, st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &its) < 0)
		return err_sys(err, errno, "lock %s", w->path);
	if (lstat(w->path, &st) < 0 || st.st_ino != its.st_ino || st.st_dev != its.st_dev)
		return 0;
	if (writable_state(fd, w->path, now, err) < 0)
		return -1;
	if (strcmp(now, w->state) != 0)
		return 0;
	if (unlink(w->path) < 0)
		return err_sys(err, errno, "remove %s", w->path);
	step("removed", w->path);
	return 0;
}

int writable_make(const struct writable *w, const struct cache *c, struct qbx_err *err)
{
	_cleanup_free_ char *template = NULL;
	int there = w->disk ? look(w->path, err) : 1;

	if (there < 0)
		return -1;
	if (!w->disk || (there && w->kept && !w->renew)) {
		if (c->dry_run && w->disk)
			plan_line("use %s", w->path);
		return 0;
	}
	template = ext4_template(c, w->mib, err);
	if (!template)
		return -1;
	if (c->dry_run) {
		plan_line("copy %s to %s", template, w->path);
		return 0;
	}
	return w->renew && remove_old(w, err) < 0 ? -1 : make(w, template, err);
}

int writable_release(const struct config *cfg, const struct box *box, struct qbx_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/writable/%s" SUFFIX, cfg->state_dir, box->key);
	if (unlink(path) == 0)
		step("removed", path);
	else if (errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, errno, "remove %s", path);
	return 0;
}
