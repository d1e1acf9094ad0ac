/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - run another command of the toolkit in the loop */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "io.h"
#include "json.h"
#include "log.h"
#include "proc.h"

#define STDERR_MAX 65536u /* bytes kept of what a helper says */

/* A pipe that the loop serves. */
struct channel {
	int fd;
	struct watch *watch;
	char *buf;
	size_t len, max;
	size_t sent; /* input only */
	bool overflow;
};

struct helper {
	struct helper *next;
	struct helpers *all;
	char program[24];
	pid_t pid;
	int pidfd;
	struct channel in, out, err;
	struct watch *timer;
	bool late; /* its time was up */
	helper_done_fn *done;
	void *arg;
};

const char *helper_path(const char *program, char *path)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n <= 0)
		return program;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash + 1 + strlen(program) >= path + PATH_MAX)
		return program;
	memcpy(slash + 1, program, strlen(program) + 1);
	return access(path, X_OK) == 0 ? path : program;
}

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
	struct channel *c = &((struct helper *)arg)->in;
	ssize_t n = write(c->fd, c->buf + c->sent, c->len - c->sent);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += (size_t)n;
	if (n < 0 || c->sent == c->len) /* one that does not read says itself what is wrong */
		channel_close(c);
}

/* Read once. Return: 1 if there may be more. */
static int channel_read(struct channel *c)
{
	char scrap[4096];
	size_t room = c->max - c->len;
	ssize_t n = room ? read(c->fd, c->buf + c->len, room) : read(c->fd, scrap, sizeof(scrap));

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
	channel_read(&((struct helper *)arg)->out);
}

static void on_error(void *arg, uint32_t events)
{
	(void)events;
	channel_read(&((struct helper *)arg)->err);
}

/* ---- its end ---- */

/* The last line of @text that is not empty; the rest is cut off. */
static char *last_line(char *text)
{
	size_t len = strlen(text);
	char *newline;

	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	newline = strrchr(text, '\n');
	return newline ? newline + 1 : text;
}

static void take_error_object(struct qbx_err *err, const char *program, const json_t *object)
{
	const char *stage = "", *message = "", *hint = "";
	int code = 0, sys = 0;

	json_unpack((json_t *)object, "{s:{s?s, s?i, s?i, s?s, s?s}}", "error", "stage", &stage,
		    "code", &code, "errno", &sys, "message", &message, "hint", &hint);
	snprintf(err->stage, sizeof(err->stage), "%s", stage);
	snprintf(err->msg, sizeof(err->msg), "%s", message);
	snprintf(err->hint, sizeof(err->hint), "%s", hint);
	if (code > 0 && code < 256)
		err->code = code;
	err->sys = sys;
	err_clean(err->msg);
	err_clean(err->hint);
	if (!err_clean(err->stage)[0])
		snprintf(err->stage, sizeof(err->stage), "%s", program);
}

void helper_parse_error(struct qbx_err *err, const char *program, char *text, int status)
{
	char *line = last_line(text);
	json_auto_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	memset(err, 0, sizeof(*err));
	snprintf(err->stage, sizeof(err->stage), "%s", program);
	err->code = status > 0 && status < 128 ? status : EX_UNAVAILABLE;
	if (json_is_object(json_object_get(object, "error")))
		take_error_object(err, program, object);
	else
		snprintf(err->msg, sizeof(err->msg), "%s", err_clean(line));
	if (!err->msg[0] && status > 128)
		snprintf(err->msg, sizeof(err->msg), "ended by signal %d", status - 128);
	else if (!err->msg[0])
		snprintf(err->msg, sizeof(err->msg), "ended with status %d and said nothing",
			 status);
}

/* What a helper that succeeded had to say goes to the log, line by line. */
static void log_remarks(char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_info("%s", line);
}

static json_t *result(struct helper *h, int status, struct qbx_err *err)
{
	char what[64];

	snprintf(err->stage, sizeof(err->stage), "%s", h->program);
	if (h->late) {
		err_sys(err, ETIMEDOUT, "no result");
		return NULL;
	}
	if (status != 0) {
		helper_parse_error(err, h->program, h->err.buf, status);
		return NULL;
	}
	log_remarks(h->err.buf);
	if (h->out.overflow) {
		err_code(err, EX_DATAERR, "wrote more than %zu bytes", h->out.max);
		return NULL;
	}
	snprintf(what, sizeof(what), "output of %s", h->program);
	return json_parse(h->out.buf, h->out.len, what, err);
}

static void helper_free(struct helper *h)
{
	struct helper **at = &h->all->first;

	while (*at && *at != h)
		at = &(*at)->next;
	if (*at)
		*at = h->next;
	loop_remove(h->timer);
	channel_free(&h->in);
	channel_free(&h->out);
	channel_free(&h->err);
	if (h->pidfd >= 0)
		close(h->pidfd);
	free(h);
}

/* What a process wrote is in the pipe by the time it has ended; others may still write. */
static void channel_drain(struct channel *c)
{
	while (c->fd >= 0 && !c->overflow && channel_read(c))
		;
}

static void ended(struct helper *h, int status)
{
	struct qbx_err err = { 0 };
	helper_done_fn *done = h->done;
	void *arg = h->arg;
	json_t *doc;

	channel_drain(&h->out);
	channel_drain(&h->err);
	h->err.buf[h->err.len] = '\0';
	doc = result(h, status, &err);
	helper_free(h);
	done(arg, doc, doc ? NULL : &err);
	json_decref(doc);
}

static struct helper *find(struct helpers *all, pid_t pid)
{
	for (struct helper *h = all->first; h; h = h->next)
		if (h->pid == pid)
			return h;
	return NULL;
}

static void note_left(struct helpers *all, pid_t pid, int status)
{
	log_debug("process %d ended with status %d", (int)pid, status);
	all->left[all->nleft].pid = pid;
	all->left[all->nleft].status = status;
	all->nleft = (all->nleft + 1) % HELPERS_LEFT;
}

void helpers_reap(struct helpers *all)
{
	int wstatus;
	pid_t pid;

	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		struct helper *h = find(all, pid);

		if (h)
			ended(h, proc_exit_status(wstatus));
		else
			note_left(all, pid, proc_exit_status(wstatus));
	}
}

int helpers_status(const struct helpers *all, pid_t pid)
{
	int wstatus;

	for (unsigned i = 0; i < HELPERS_LEFT; i++)
		if (all->left[i].pid == pid)
			return all->left[i].status;
	return waitpid(pid, &wstatus, WNOHANG) == pid ? proc_exit_status(wstatus) : -1;
}

void helpers_kill(struct helpers *all)
{
	while (all->first) {
		kill(-all->first->pid, SIGKILL);
		helper_free(all->first);
	}
}

static void on_deadline(void *arg)
{
	struct helper *h = arg;

	h->timer = NULL;
	h->late = true;
	kill(-h->pid,
	     SIGKILL); /* with its own children; not reaped, so the number is still its own */
}

/* ---- its start ---- */

/* A pipe whose end @ours stays here, non-blocking; the other one is returned, or -1 with errno. */
static int channel_open(struct channel *c, int ours, size_t max)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	c->fd = fds[ours];
	c->max = max;
	if (io_set_nonblock(c->fd, 1) < 0) {
		close(fds[!ours]);
		return -1;
	}
	return fds[!ours];
}

static int spawn(struct helper *h, const struct helper_spec *spec, struct qbx_err *err)
{
	_cleanup_close_ int in = channel_open(&h->in, 1, 0);
	_cleanup_close_ int out = channel_open(&h->out, 0, JSON_FILE_MAX);
	_cleanup_close_ int errfd = channel_open(&h->err, 0, STDERR_MAX);
	const struct proc_fd fds[] = {
		{ in, 0 }, { out, 1 }, { errfd, 2 }, { spec->fd, HELPER_FD }
	};
	char path[PATH_MAX];
	const char *argv[] = {
		helper_path(spec->program, path), "--json-errors", spec->verb, NULL, NULL, NULL
	};
	const struct proc_spec ps = { .argv = argv,
				      .fds = fds,
				      .nfds = ARRAY_SIZE(fds) - (spec->fd ? 0 : 1),
				      .netns = -1,
				      .detach = 1,
				      .die_with_us = !spec->outlives_us };
	size_t n = 3;

	if (spec->option)
		argv[n++] = spec->option;
	if (h->all->debug)
		argv[n++] = "--debug";
	if (in < 0 || out < 0 || errfd < 0)
		return err_sys(err, errno, "start %s", spec->program);
	return proc_spawn(&ps, &h->pid, &h->pidfd, err);
}

static int watch(struct helper *h, unsigned timeout_ms, struct qbx_err *err)
{
	struct loop *loop = h->all->loop;

	h->in.watch = loop_add_fd(loop, h->in.fd, EPOLLOUT, on_input, h, err);
	h->out.watch = loop_add_fd(loop, h->out.fd, EPOLLIN, on_output, h, err);
	h->err.watch = loop_add_fd(loop, h->err.fd, EPOLLIN, on_error, h, err);
	h->timer = loop_add_timer(loop, timeout_ms, on_deadline, h, err);
	return h->in.watch && h->out.watch && h->err.watch && h->timer ? 0 : -1;
}

int helper_run(struct helpers *all, const struct helper_spec *spec, const json_t *doc,
	       helper_done_fn *done, void *arg, struct qbx_err *err)
{
	struct helper *h = calloc(1, sizeof(*h));

	snprintf(err->stage, sizeof(err->stage), "%s", spec->program);
	if (!h)
		return err_sys(err, ENOMEM, "start %s", spec->program);
	*h = (struct helper){ .all = all,
			      .pidfd = -1,
			      .in.fd = -1,
			      .out.fd = -1,
			      .err.fd = -1,
			      .done = done,
			      .arg = arg };
	snprintf(h->program, sizeof(h->program), "%s", spec->program);
	h->in.buf = json_dumps(doc, JSON_COMPACT);
	h->out.buf = malloc(JSON_FILE_MAX);
	h->err.buf = malloc(STDERR_MAX + 1);
	if (!h->in.buf || !h->out.buf || !h->err.buf) {
		helper_free(h);
		return err_sys(err, ENOMEM, "start %s", spec->program);
	}
	h->in.len = strlen(h->in.buf);
	if (spawn(h, spec, err) < 0) {
		helper_free(h);
		return -1;
	}
	h->next = all->first;
	all->first = h;
	if (watch(h, spec->timeout_ms, err) < 0) {
		kill(-h->pid, SIGKILL); /* helpers_reap() gets it */
		helper_free(h);
		return -1;
	}
	return 0;
}
