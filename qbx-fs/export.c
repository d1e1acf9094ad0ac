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

/* What has come by then is of one moment, or counts for nothing. */
static int write_tree(const struct quiet *q, int pipe, int dirfd, struct qbx_err *err)
{
	const struct source_pipe p = { pipe, io_now_us() + EXPORT_MS * 1000ull };
	struct tree_writer *w = tree_writer_new(dirfd, q->size, err);
	static struct tree_record r;
	int ret = w ? 1 : -1;

	while (ret > 0) {
		ret = take_record(&p, &r, err);
		if (ret == 0)
			ret = quiet_lasts(q, err);
		if (ret == 0)
			ret = tree_write(w, &r, err);
		if (ret > 0)
			step("one more", "of the tree");
	}
	tree_writer_free(w);
	return ret;
}

/* Have a reader send the tree, and write it. */
static int copy_tree(const struct quiet *q, int dirfd, struct qbx_err *err)
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
		tree_reader(q->disk, w, q->size);
	close(take_fd(&w));
	ret = write_tree(q, r, dirfd, err);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ret;
}

/* A new tree beside @to takes its place; what was there goes. */
static int replace(const struct config *cfg, const char *key, const struct quiet *q, const char *to,
		   struct qbx_err *err)
{
	_cleanup_(beside_close) struct beside b = BESIDE_NONE;

	if (beside_make(&b, cfg, key, to, err) < 0)
		return -1;
	if (copy_tree(q, b.tree, err) == 0 && beside_swap(&b, to, err) == 0)
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
	if (replace(&cli->cfg, box->key, &q, to, err) < 0)
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
