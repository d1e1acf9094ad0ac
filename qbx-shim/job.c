/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - a program in the loop: text in, bounded text out, and its end */
#include "job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "io.h"
#include "log.h"

/* A pipe that the loop serves. */
struct channel {
	int fd;
	struct watch *watch;
	char *buf;
	size_t len, max;
	size_t sent; /* input only */
	bool last;   /* what does not fit displaces what came first */
	bool overflow;
};

struct job {
	struct job *next;
	struct jobs *all;
	pid_t pid;
	int pidfd;
	struct channel in, out, err;
	struct watch *timer;
	bool late; /* its time was up */
	job_done_fn *done;
	void *arg, *own;
};

/* ---- its pipes ---- */

static void channel_close(struct channel *c)
{
	loop_remove(c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(take_fd(&c->fd));
}

static void channel_free(struct channel *c)
{
	channel_close(c);
	free(c->buf);
	c->buf = NULL;
}

static void on_input(void *arg, uint32_t events)
{
	struct channel *c = &((struct job *)arg)->in;
	ssize_t n = write(c->fd, c->buf + c->sent, c->len - c->sent);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += (size_t)n;
	if (n < 0 || c->sent == c->len) /* one that does not read says itself what is wrong */
		channel_close(c);
}

static void make_room(struct channel *c)
{
	if (!c->last || c->len < c->max)
		return;
	c->len = c->max / 2;
	memmove(c->buf, c->buf + c->max - c->len, c->len);
}

/* Read once. Return: 1 if there may be more. */
static int channel_read(struct channel *c)
{
	char scrap[4096];
	size_t room;
	ssize_t n;

	make_room(c);
	room = c->max - c->len;
	n = room ? read(c->fd, c->buf + c->len, room) : read(c->fd, scrap, sizeof(scrap));
	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		channel_close(c);
		return 0;
	}
	if (room)
		c->len += (size_t)n;
	else
		c->overflow = true;
	return 1;
}

static void on_output(void *arg, uint32_t events)
{
	(void)events;
	channel_read(&((struct job *)arg)->out);
}

static void on_error(void *arg, uint32_t events)
{
	(void)events;
	channel_read(&((struct job *)arg)->err);
}

/* ---- its end ---- */

char *job_last_line(char *text)
{
	size_t len = strlen(text);
	char *newline;

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	newline = strrchr(text, '\n');
	return newline ? newline + 1 : text;
}

void job_log_remarks(char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_info("%s", line);
}

static void job_free(struct job *j)
{
	struct job **at = &j->all->first;

	while (*at && *at != j)
		at = &(*at)->next;
	if (*at)
		*at = j->next;
	loop_remove(j->timer);
	channel_free(&j->in);
	channel_free(&j->out);
	channel_free(&j->err);
	if (j->pidfd >= 0)
		close(j->pidfd);
	free(j->own);
	free(j);
}

/*
 * What a process wrote is in the pipe by the time it has ended; others may still write, so what is
 * read here is bounded.
 */
static void channel_drain(struct channel *c)
{
	for (size_t n = 0; c->fd >= 0 && !c->overflow && n < 1024 && channel_read(c); n++)
		;
}

static void ended(struct job *j, int status)
{
	_cleanup_free_ char *out = NULL, *err = NULL;
	char none[1] = "";
	struct job_end end = { .status = status, .late = j->late };
	job_done_fn *done = j->done;
	void *arg = j->arg, *own = take_ptr(j->own);

	channel_drain(&j->out);
	channel_drain(&j->err);
	out = take_ptr(j->out.buf);
	err = take_ptr(j->err.buf);
	if (out)
		out[j->out.len] = '\0';
	err[j->err.len] = '\0';
	end.out = out ? out : none;
	end.out_len = j->out.len;
	end.overflow = j->out.overflow;
	end.err = err;
	job_free(j);
	done(arg, &end);
	free(own);
}

static struct job *find(struct jobs *all, pid_t pid)
{
	for (struct job *j = all->first; j; j = j->next)
		if (j->pid == pid)
			return j;
	return NULL;
}

static void note_left(struct jobs *all, pid_t pid, int status)
{
	log_debug("process %d ended with status %d", (int)pid, status);
	all->left[all->nleft].pid = pid;
	all->left[all->nleft].status = status;
	all->nleft = (all->nleft + 1) % JOBS_LEFT;
}

void jobs_reap(struct jobs *all)
{
	int wstatus;
	pid_t pid;

	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		struct job *j = find(all, pid);

		if (j)
			ended(j, proc_exit_status(wstatus));
		else
			note_left(all, pid, proc_exit_status(wstatus));
	}
}

int jobs_status(const struct jobs *all, pid_t pid)
{
	int wstatus;

	for (unsigned i = 0; i < JOBS_LEFT; i++)
		if (all->left[i].pid == pid)
			return all->left[i].status;
	return waitpid(pid, &wstatus, WNOHANG) == pid ? proc_exit_status(wstatus) : -1;
}

/* With its own children. It is not reaped, so the number is still its own. */
void job_kill(struct job *j)
{
	kill(-j->pid, SIGKILL);
}

void job_forget(struct job *j)
{
	if (!j)
		return;
	job_kill(j); /* jobs_reap() gets it */
	job_free(j);
}

void jobs_kill(struct jobs *all)
{
	while (all->first)
		job_forget(all->first);
}

static void on_deadline(void *arg)
{
	struct job *j = arg;

	j->timer = NULL;
	j->late = true;
	job_kill(j);
}

/* ---- its start ---- */

/* A pipe whose end @ours stays here, non-blocking; the other one is returned, or -1 with errno. */
static int channel_open(struct channel *c, int ours)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	c->fd = fds[ours];
	if (io_set_nonblock(c->fd, 1) < 0) {
		close(fds[!ours]);
		return -1;
	}
	return fds[!ours];
}

static int spawn(struct job *j, const struct job_spec *spec, struct qbx_err *err)
{
	_cleanup_close_ int in = channel_open(&j->in, 1);
	_cleanup_close_ int out = j->out.max ? channel_open(&j->out, 0) : -1;
	_cleanup_close_ int errfd = channel_open(&j->err, 0);
	struct proc_spec ps = spec->proc;
	struct proc_fd fds[4] = { { in, 0 }, { errfd, 2 } };
	size_t n = 2;

	if (in < 0 || (j->out.max && out < 0) || errfd < 0)
		return err_sys(err, errno, "start %s", ps.program ? ps.program : ps.argv[0]);
	if (out >= 0)
		fds[n++] = (struct proc_fd){ out, 1 };
	if (ps.nfds)
		fds[n++] = ps.fds[0];
	ps.fds = fds;
	ps.nfds = n;
	ps.netns = -1;
	ps.detach = 1;
	return proc_spawn(&ps, &j->pid, &j->pidfd, err);
}

static int watch(struct job *j, unsigned timeout_ms, struct qbx_err *err)
{
	struct loop *loop = j->all->loop;

	j->in.watch = loop_add_fd(loop, j->in.fd, EPOLLOUT, on_input, j, err);
	if (j->out.fd >= 0)
		j->out.watch = loop_add_fd(loop, j->out.fd, EPOLLIN, on_output, j, err);
	j->err.watch = loop_add_fd(loop, j->err.fd, EPOLLIN, on_error, j, err);
	j->timer = loop_add_timer(loop, timeout_ms, on_deadline, j, err);
	return j->in.watch && (j->out.fd < 0 || j->out.watch) && j->err.watch && j->timer ? 0 : -1;
}

/* Return: 0, or -1: out of memory. */
static int make_buffers(struct job *j, const struct job_spec *spec)
{
	j->in.buf = strdup(spec->input);
	j->in.len = strlen(spec->input);
	j->out.max = spec->out_max;
	j->out.buf = spec->out_max ? malloc(spec->out_max + 1) : NULL;
	j->err.max = JOB_STDERR_MAX;
	j->err.last = true;
	j->err.buf = malloc(JOB_STDERR_MAX + 1);
	return j->in.buf && (!spec->out_max || j->out.buf) && j->err.buf ? 0 : -1;
}

struct job *job_start(struct jobs *all, const struct job_spec *spec, job_done_fn *done, void *arg,
		      struct qbx_err *err)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j)
		*j = (struct job){ .all = all,
				   .pidfd = -1,
				   .in.fd = -1,
				   .out.fd = -1,
				   .err.fd = -1,
				   .done = done,
				   .arg = arg };
	if (!j || make_buffers(j, spec) < 0) {
		err_sys(err, ENOMEM, "start %s", spec->proc.argv[0]);
		if (j)
			job_free(j);
		return NULL;
	}
	if (spawn(j, spec, err) < 0) {
		job_free(j);
		return NULL;
	}
	j->next = all->first;
	all->first = j;
	if (watch(j, spec->timeout_ms, err) < 0) {
		job_forget(j);
		return NULL;
	}
	j->own = spec->own;
	return j;
}
