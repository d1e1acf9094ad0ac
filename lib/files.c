/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - single files of the host, sent to the guest and kept up to date */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "guest.h"
#include "guest.pb-c.h"
#include "io.h"
#include "log.h"
#include "sha256.h"
#include "volumes.h"

#define SEND_MS 30000u
#define DIR_EVENTS (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB)
#define FILE_EVENTS (IN_CLOSE_WRITE | IN_ATTRIB)

/* Whatever tells that a file is not the one that was read, or not as it was. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct file {
	struct files *files;
	uint32_t number;
	char *destination; /* for messages; owned */
	int dirfd;
	char *name; /* in there, perhaps a symlink to what is beneath; owned */
	int dir_wd, file_wd;
	struct stamp stamp;		 /* of what was looked at last */
	char digest[SHA256_HEX_LEN + 1]; /* of what was sent last */
	bool sending, changed;
	bool bad;   /* it cannot be read any more, and that was said */
	bool first; /* what is sent is what files_send() has promised */
};

struct files {
	struct ttrpc_conn *guest; /* NULL until files_send() */
	char *id;
	int inotify;
	struct watch *watch;
	struct file v[VOLUMES_MAX];
	size_t n;
	unsigned awaited; /* answers to files_send() */
	files_done_fn *done;
	void *arg;
	enum ttrpc_code code; /* the first of those that was none */
	char message[300];
};

/* ---- where it is ---- */

static int open_path(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags,
				.resolve = RESOLVE_NO_MAGICLINKS | resolve };

	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* Split @path at its last slash, and open the directory. Return: 0, or -1 with errno. */
static int enter_parent(struct file *f, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));

	free(f->name);
	f->name = strdup(slash + 1);
	if (f->dirfd >= 0)
		close(take_fd(&f->dirfd));
	if (!dir || !f->name) {
		errno = ENOMEM;
		return -1;
	}
	f->dirfd = open_path(AT_FDCWD, dir, O_DIRECTORY, 0);
	return f->dirfd < 0 ? -1 : 0;
}

static int fail(const struct file *f, const char *what, struct qbx_err *err)
{
	return err_sys(err, errno, "volume %.200s: %s", f->destination, what);
}

static int open_beneath(const struct file *f)
{
	return open_path(f->dirfd, f->name, 0, RESOLVE_BENEATH);
}

/* The source leads elsewhere: what it leads to now is it from now on, if that is what was seen before. */
static int settle(struct file *f, const struct volume *v, struct qbx_err *err)
{
	_cleanup_close_ int fd = open_path(AT_FDCWD, v->source, 0, 0), again = -1;
	char link[40], path[PATH_MAX];
	struct stat st, st2;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(f, v->source, err);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (path[0] != '/' || enter_parent(f, path) < 0)
		return fail(f, v->source, err);
	again = open_beneath(f);
	if (again < 0 || fstat(again, &st2) < 0 || st2.st_ino != st.st_ino ||
	    st2.st_dev != st.st_dev || st.st_dev != v->dev || st.st_ino != v->ino) {
		err_code(err, EX_UNAVAILABLE, "volume %.200s: %.300s is not what it was",
			 v->destination, v->source);
		return err_hint(err, "it was replaced after qbx-fs prepare had looked at it");
	}
	return 0;
}

static int locate(struct file *f, const struct volume *v, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	if (enter_parent(f, v->source) < 0)
		return fail(f, v->source, err);
	fd = open_beneath(f);
	if (fd >= 0)
		return 0;
	return errno == EXDEV ? settle(f, v, err) : fail(f, v->source, err);
}

/* ---- what is in it ---- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct stamp *a, const struct stat *st)
{
	return a->dev == st->st_dev && a->ino == st->st_ino && a->size == st->st_size &&
	       same_time(&a->mtime, &st->st_mtim) && same_time(&a->ctime, &st->st_ctim);
}

/* A file that has just changed may change again without a difference in its times. */
static struct stamp stamp_of(const struct stat *st)
{
	struct stamp s = { st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - st->st_ctim.tv_sec < 2)
		s.ino = 0;
	return s;
}

/* By the path of an open O_PATH descriptor: nothing else can be put in its place any more. */
static int watch_at(const struct files *files, int fd, uint32_t events)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(files->inotify, path, events);
}

/* Return: a descriptor to read from, -1 with @err. */
static int open_file(struct file *f, struct stat *st, struct qbx_err *err)
{
	_cleanup_close_ int fd = open_beneath(f), own = -1;
	char path[40];

	if (fd < 0 || fstat(fd, st) < 0)
		return fail(f, "open it", err);
	if (!S_ISREG(st->st_mode))
		return err_code(err, EX_DATAERR, "volume %.200s: no regular file any more",
				f->destination);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	f->file_wd = watch_at(f->files, fd, FILE_EVENTS);
	own = f->file_wd < 0 ? -1 : open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	return own < 0 ? fail(f, "open it", err) : take_fd(&own);
}

static void digest_of(const char *text, size_t len, const struct stat *st, char *hex)
{
	char seal[2 * SHA256_HEX_LEN + 1];

	sha256_hex(text, len, hex);
	snprintf(seal, sizeof(seal), "%s %o %u %u", hex, (unsigned)st->st_mode, st->st_uid,
		 st->st_gid);
	sha256_hex(seal, strlen(seal), hex);
}

static void look_again(struct file *f);

static void settle_up(struct files *files)
{
	files_done_fn *done = files->done;

	if (files->awaited > 0 || !done)
		return;
	files->done = NULL;
	done(files->arg, files->code, files->message);
}

static void note(struct files *files, enum ttrpc_code code, const char *destination,
		 const char *message)
{
	if (files->code != TTRPC_OK)
		return;
	files->code = code;
	snprintf(files->message, sizeof(files->message), "volume %.100s: %.180s", destination,
		 message);
}

static void on_sent(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		    const char *message)
{
	struct file *f = arg;
	struct files *files = f->files;
	bool first = f->first;

	(void)reply;
	f->sending = f->first = false;
	if (code == TTRPC_CANCELLED || code == TTRPC_UNAVAILABLE)
		files->guest = NULL;
	if (code != TTRPC_OK && first)
		note(files, code, f->destination, message);
	else if (code != TTRPC_OK && files->guest)
		log_warn("volume %s is not kept up to date: %s", f->destination, message);
	if (f->changed && files->guest)
		look_again(f);
	if (!first)
		return;
	files->awaited--;
	settle_up(files); /* after which they may be gone */
}

static void send_file(struct file *f, char *text, size_t len, const struct stat *st)
{
	Qemubox__Guest__V1__WriteFileRequest r = QEMUBOX__GUEST__V1__WRITE_FILE_REQUEST__INIT;

	r.id = f->files->id;
	r.number = f->number;
	r.content.data = (uint8_t *)text;
	r.content.len = len;
	r.mode = st->st_mode & 07777;
	r.uid = st->st_uid;
	r.gid = st->st_gid;
	f->sending = true;
	ttrpc_request(f->files->guest, GUEST_SERVICE, "WriteFile", &r.base, SEND_MS,
		      &qemubox__guest__v1__write_file_response__descriptor, on_sent, f);
}

/* Read it and, if that is news, send it. Return: 1 if it is sent, 0 if it need not be, -1 with @err. */
static int update(struct file *f, struct qbx_err *err)
{
	char digest[SHA256_HEX_LEN + 1];
	_cleanup_free_ char *text = NULL;
	struct stat st = { 0 };
	_cleanup_close_ int fd = open_file(f, &st, err);
	size_t len;

	if (fd < 0)
		return -1;
	if (same(&f->stamp, &st))
		return 0;
	if (io_read_all(fd, FILES_CONTENT_MAX, f->destination, &text, &len, err) < 0)
		return err_wrap(err, "volume");
	f->stamp = stamp_of(&st);
	digest_of(text, len, &st, digest);
	if (!strcmp(digest, f->digest))
		return 0;
	memcpy(f->digest, digest, sizeof(digest));
	send_file(f, text, len, &st);
	explicit_bzero(text, len);
	return 1;
}

static void look_again(struct file *f)
{
	struct qbx_err err = { 0 };

	f->changed = false;
	if (update(f, &err) >= 0) {
		f->bad = false;
	} else if (err.sys != ENOENT && !f->bad) { /* else it is just being replaced */
		f->bad = true;			   /* said once */
		log_warn("%s", err.msg);
	}
}

/* ---- what happens to it ---- */

/*
 * A file that was only created is not written yet, and its close will be told; a symlink, or another
 * name for a file, is complete.
 */
static bool is_complete(const struct file *f, const struct inotify_event *e)
{
	struct stat st;

	if (e->wd == f->file_wd || !(e->mask & IN_CREATE) || e->len == 0)
		return true;
	return fstatat(f->dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (S_ISLNK(st.st_mode) || st.st_nlink > 1);
}

static void happened(struct files *files, const struct inotify_event *e)
{
	for (size_t i = 0; i < files->n; i++) {
		struct file *f = &files->v[i];
		bool concerns =
			e->wd == f->dir_wd || e->wd == f->file_wd || e->mask & IN_Q_OVERFLOW;

		if (!files->guest || !concerns || !is_complete(f, e))
			continue;
		if (f->sending)
			f->changed = true;
		else
			look_again(f);
	}
}

static void on_events(void *arg, uint32_t events)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct files *files = arg;
	ssize_t n = read(files->inotify, buf, sizeof(buf));

	(void)events;
	for (char *p = buf; n > 0 && p < buf + n;) {
		const struct inotify_event *e = (const struct inotify_event *)p;

		happened(files, e);
		p += sizeof(*e) + e->len;
	}
}

/* ---- the whole ---- */

static int add(struct files *files, const struct volume *v, size_t number, struct qbx_err *err)
{
	struct file *f = &files->v[files->n++];

	*f = (struct file){ .files = files, .number = (uint32_t)number, .dirfd = -1 };
	f->dir_wd = f->file_wd = -1;
	f->destination = strdup(v->destination);
	if (!f->destination)
		return err_sys(err, ENOMEM, "volumes");
	if (locate(f, v, err) < 0)
		return -1;
	f->dir_wd = watch_at(files, f->dirfd, DIR_EVENTS);
	return f->dir_wd < 0 ? fail(f, "watch its directory", err) : 0;
}

static int find(struct files *files, const json_t *volumes, struct qbx_err *err)
{
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0)
			return -1;
		if (v.kind == VOLUME_FILE && add(files, &v, i, err) < 0)
			return -1;
	}
	return 0;
}

struct files *files_new(struct loop *loop, const json_t *volumes, const char *id,
			struct qbx_err *err)
{
	struct files *f = calloc(1, sizeof(*f));

	if (!f) {
		err_sys(err, ENOMEM, "volumes");
		return NULL;
	}
	f->id = strdup(id);
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!f->id || f->inotify < 0)
		err_sys(err, f->id ? errno : ENOMEM, "watch the volumes");
	else if (find(f, volumes, err) == 0)
		f->watch = loop_add_fd(loop, f->inotify, EPOLLIN, on_events, f, err);
	if (f->watch)
		return f;
	files_free(f);
	return NULL;
}

int files_send(struct files *f, struct ttrpc_conn *guest, files_done_fn *done, void *arg,
	       struct qbx_err *err)
{
	f->guest = guest;
	f->awaited = 1; /* until all have been sent */
	f->done = done;
	f->arg = arg;
	for (size_t i = 0; i < f->n; i++) {
		int r = update(&f->v[i], err);

		if (r < 0) {
			f->done = NULL;
			f->guest = NULL;
			return -1;
		}
		f->v[i].first = r > 0;
		f->awaited += (unsigned)r;
	}
	f->awaited--;
	settle_up(f);
	return 0;
}

void files_free(struct files *f)
{
	if (!f)
		return;
	loop_remove(f->watch);
	if (f->inotify >= 0)
		close(f->inotify);
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].destination);
		free(f->v[i].name);
		cleanup_closep(&f->v[i].dirfd);
	}
	free(f->id);
	free(f);
}
