/* SPDX-License-Identifier: Apache-2.0 */
/* export: what the container has written, into its upper directory */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base.h"
#include "beside.h"
#include "fs.h"
#include "io.h"
#include "quiet.h"
#include "tree.h"
#include "writable.h"

#define EXPORT_MS 600000u /* for the whole */

/* The pipe that records come by. */
struct source_pipe {
	int fd;
	unsigned long long end; /* io_now_us() by when all of it must have come */
};

/* Exactly @len bytes. */
static int take(const struct source_pipe *p, void *buf, size_t len, struct qbx_err *err)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };
	size_t done = 0;

	while (done < len) {
		unsigned long long now = io_now_us();
		ssize_t n;

		if (now >= p->end || poll(&poll_fd, 1, (int)((p->end - now) / 1000) + 1) == 0)
			return err_sys(err, ETIMEDOUT, "read what the container wrote");
		n = read(p->fd, (char *)buf + done, len - done);
		if (n < 0)
			return err_sys(err, errno, "read what the container wrote");
		if (n == 0)
			return err_code(
				err, EX_DATAERR,
				"what the container wrote cannot be read: the reader ended");
		done += (size_t)n;
	}
	return 0;
}

static int take_record(const struct source_pipe *p, struct tree_record *r, struct qbx_err *err)
{
	if (take(p, &r->h, sizeof(r->h), err) < 0 || tree_check_head(&r->h, err) < 0 ||
	    take(p, r->name, r->h.name_len, err) < 0 || take(p, r->data, r->h.len, err) < 0)
		return -1;
	r->name[r->h.name_len] = '\0';
	r->data[r->h.len] = '\0';
	return tree_check(r, err);
}

/* What is copied, and to where. */
struct job {
	const struct quiet *q;	    /* the disk */
	const struct base *base;    /* what is below it */
	const struct layers *below; /* and below that */
	const char *to;
	bool in_place; /* that is the upper directory */
};

/* What has come by then is of one moment, or counts for nothing. */
static int write_tree(const struct job *j, int pipe, int dirfd, struct qbx_err *err)
{
	const struct source_pipe p = { pipe, io_now_us() + EXPORT_MS * 1000ull };
	struct tree_writer *w = tree_writer_new(dirfd, j->q->size, err);
	static struct tree_record r;
	int ret = w ? 1 : -1;

	if (w && j->base->dir)
		tree_writer_below(w, below_has, j->below);
	while (ret > 0) {
		ret = take_record(&p, &r, err);
		if (ret == 0)
			ret = quiet_lasts(j->q, err);
		if (ret == 0)
			ret = tree_write(w, &r, err);
		if (ret > 0)
			step("one more", "of the tree");
	}
	tree_writer_free(w);
	return ret;
}

/* Have a reader send the tree, and write it. */
static int copy_tree(const struct job *j, int dirfd, struct qbx_err *err)
{
	_cleanup_close_ int r = -1, w = -1;
	pid_t pid;
	int p[2], ret;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "make a pipe");
	r = p[0];
	w = p[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start a reader");
	if (pid == 0)
		tree_reader(j->q->disk, w, j->q->size);
	close(take_fd(&w));
	ret = write_tree(j, r, dirfd, err);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ret;
}

/* In the empty directory @dirfd: what is below, and what the container has written. */
static int fill(const struct job *j, int dirfd, struct qbx_err *err)
{
	if (base_copy(j->base, dirfd, err) < 0)
		return -1;
	/* Of one that was exported, and changed by others since, all is there. */
	if (j->base->how != BASE_CHANGED && copy_tree(j, dirfd, err) < 0)
		return -1;
	if (!j->in_place)
		return 0;
	/* The note says what the disk was, which is to be that of the tree. */
	if (base_note(j->base, dirfd, j->q->disk, j->q->path, err) < 0 ||
	    quiet_lasts(j->q, err) < 0)
		return -1;
	step("tree noted", j->to);
	return base_clear(j->base, err);
}

/* The tree becomes the directory; what others had put there is kept below the disk. */
static int put(const struct job *j, struct beside *b, struct qbx_err *err)
{
	_cleanup_free_ char *kept = NULL;

	if (!j->in_place || j->base->how != BASE_OTHERS)
		return beside_swap(b, j->to, err);
	kept = base_kept(j->base, err);
	return !kept || beside_swap(b, kept, err) < 0 ? -1 : base_keep(j->base, kept, err);
}

/* A new tree beside the directory takes its place. */
static int replace(const struct config *cfg, const char *key, const struct job *j,
		   struct qbx_err *err)
{
	_cleanup_(beside_close) struct beside b = BESIDE_NONE;

	if (beside_make(&b, cfg, key, j->to, err) < 0)
		return -1;
	if (fill(j, b.tree, err) == 0 && put(j, &b, err) == 0)
		return beside_remove(&b, err);
	beside_drop(&b);
	return -1;
}

/* The directory that is replaced: no slash may end its name. */
static char *target(const char *asked, const char *upper, struct qbx_err *err)
{
	char *to = asked || upper ? strdup(asked ? asked : upper) : NULL;

	if (!to) {
		err_code(err, EX_USAGE, "the root file system has no upper directory");
		err_hint(err, "name a directory with --to");
		return NULL;
	}
	for (size_t len = strlen(to); len > 1 && to[len - 1] == '/'; len--)
		to[len - 1] = '\0';
	return to;
}

static bool is_same(const char *one, const char *other)
{
	struct stat a, b;

	return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Those of the root file system, without what is in its upper directory. */
static int find_below(const struct box *box, struct layers *l, struct qbx_err *err)
{
	_cleanup_(rootfs_free) struct rootfs r = { 0 };
	struct upper u = { 0 };

	if (rootfs_read(box, &r, err) < 0 || upper_find(&u, &r, err) < 0)
		return -1;
	return rootfs_overlay(&r, &u, l, err);
}

/* Nobody writes to the disk: what the upper directory is does not change by our own hand either. */
static int export_disk(const struct config *cfg, const struct quiet *q, const struct box *box,
		       struct writable *w, const char *to, struct qbx_err *err)
{
	_cleanup_(base_free) struct base base = { 0 };
	_cleanup_(layers_free) struct layers below = { 0 };
	struct job j = { .q = q, .base = &base, .below = &below, .to = to };

	if (base_find(&base, w, true, err) < 0 || (base.dir && find_below(box, &below, err) < 0))
		return -1;
	j.in_place = w->upper && is_same(to, w->upper);
	/* One that was exported, and changed by others since, has all that the disk has. */
	return j.in_place && base.how == BASE_CHANGED ? 0 : replace(cfg, box->key, &j, err);
}

static int export_box(struct cli *cli, const struct box *box, struct writable *w,
		      struct qbx_err *err)
{
	_cleanup_free_ char *upper = NULL, *to = NULL;
	_cleanup_(quiet_close) struct quiet q = { .disk = -1, .lock = -1, .still = -1 };

	if (writable_upper(box, &upper, err) < 0 ||
	    writable_choose(w, &cli->cfg, box, false, err) < 0)
		return -1;
	to = target(fs_options.to, upper, err);
	if (!to)
		return -1;
	if (cli->dry_run) {
		printf("copy what is in %s to %s\n", w->disk ? w->path : "memory", to);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	if (quiet_open(&q, w, &cli->cfg, box, err) < 0)
		return -1;
	if (export_disk(&cli->cfg, &q, box, w, to, err) < 0)
		return err_wrap(err, "export %s", w->path);
	return cli_emit(box->doc, err);
}

static int export(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_(writable_free) struct writable w = { 0 };

	return cli_read_box(cli, &box, err) < 0 ? -1 : export_box(cli, &box, &w, err);
}

const struct cli_verb export_verb = {
	.name = "export",
	.help = "put what the container has written into its upper directory, or that of --to",
	.run = export,
};
