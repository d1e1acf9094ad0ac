/* SPDX-License-Identifier: Apache-2.0 */
/* logger.c - a program of the client's that takes a process's output */
#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "proc.h"

#define FIRST_FD 3 /* its standard output; then standard error and the one to say ready by */
#define FDS 3

struct logger {
	struct loop *loop;
	char *path;
	struct watch *child; /* NULL: it has ended */
	loop_fn *ended;
	void *arg;
	int ready_fd;
	unsigned timeout_ms;
	struct watch *ready_watch, *timer;
	logger_ready_fn *ready;
};

static void forget_ready(struct logger *l)
{
	loop_remove(l->ready_watch);
	loop_remove(l->timer);
	l->ready_watch = NULL;
	l->timer = NULL;
	if (l->ready_fd >= 0)
		close(take_fd(&l->ready_fd));
}

void logger_free(struct logger *l)
{
	if (!l)
		return;
	forget_ready(l);
	loop_remove(l->child);
	free(l->path);
	free(l);
}

bool logger_ended(const struct logger *l)
{
	return !l->child;
}

const char *logger_path(const struct logger *l)
{
	return l->path;
}

/* ---- ready ---- */

static void on_ready(void *arg, uint32_t events)
{
	struct logger *l = arg;
	char byte;

	(void)events;
	/* A byte or the end: either will do. */
	if (read(l->ready_fd, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	forget_ready(l);
	l->ready(l->arg, NULL);
}

static void on_late(void *arg)
{
	struct logger *l = arg;
	struct qbx_err err = { .stage = "qbx-shim" };

	l->timer = NULL;
	forget_ready(l);
	err_sys(&err, ETIMEDOUT, "logger %s: not ready after %u ms", l->path, l->timeout_ms);
	err_hint(&err, "it says so by closing descriptor 5");
	l->ready(l->arg, &err);
}

int logger_await(struct logger *l, unsigned timeout_ms, logger_ready_fn *ready, struct qbx_err *err)
{
	l->ready = ready;
	l->timeout_ms = timeout_ms;
	l->ready_watch = loop_add_fd(l->loop, l->ready_fd, EPOLLIN, on_ready, l, err);
	if (l->ready_watch)
		l->timer = loop_add_timer(l->loop, timeout_ms, on_late, l, err);
	if (l->timer)
		return 0;
	forget_ready(l);
	return -1;
}

/* ---- its start and end ---- */

static void on_ended(void *arg, int status)
{
	struct logger *l = arg;

	l->child = NULL;
	if (status > 0)
		log_warn("logger %s: ended with status %d", l->path, status);
	l->ended(l->arg);
}

struct env {
	char *v[4];
};

static void env_free(struct env *env)
{
	for (size_t i = 0; i < ARRAY_SIZE(env->v); i++)
		free(env->v[i]);
}

static int env_add(struct env *env, const char *name, const char *value)
{
	size_t n = 0;

	while (env->v[n])
		n++;
	if (asprintf(&env->v[n], "%s=%s", name, value ? value : "") >= 0)
		return 0;
	env->v[n] = NULL; /* it does not say what it left there */
	return -1;
}

/* @theirs: its ends of the pipes. Return: its pidfd, or -1 with @err. */
static int spawn(const struct uri *uri, const struct logger_name *name, const int theirs[FDS],
		 struct qbx_err *err)
{
	_cleanup_free_ const char **argv = calloc(uri->nargs + 2, sizeof(*argv));
	_cleanup_(env_free) struct env env = { 0 };
	struct proc_fd fds[FDS];
	struct proc_spec spec = { .argv = argv,
				  .envp = (const char *const *)env.v,
				  .fds = fds,
				  .nfds = FDS,
				  .netns = -1,
				  .detach = 1 };
	int pidfd;
	pid_t pid;

	if (!argv || env_add(&env, "CONTAINER_ID", name->id) < 0 ||
	    env_add(&env, "CONTAINER_NAMESPACE", name->namespace) < 0 ||
	    (getenv("PATH") && env_add(&env, "PATH", getenv("PATH")) < 0))
		return err_sys(err, ENOMEM, "start %s", uri->path);
	argv[0] = uri->path;
	if (uri->nargs)
		memcpy(argv + 1, uri->args, uri->nargs * sizeof(*argv));
	for (int i = 0; i < FDS; i++)
		fds[i] = (struct proc_fd){ theirs[i], FIRST_FD + i };
	return proc_spawn(&spec, &pid, &pidfd, err) < 0 ? -1 : pidfd;
}

/* Three pipes: we write two of them and read the last. Return: 0, or -1 with errno. */
static int make_pipes(int ours[FDS], int theirs[FDS])
{
	for (int i = 0; i < FDS; i++) {
		int we_write = i < LOGGER_PIPES, p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return -1;
		ours[i] = p[we_write];
		theirs[i] = p[!we_write];
		if (io_set_nonblock(ours[i], 1) < 0)
			return -1;
	}
	return 0;
}

static void close_pipes(int p[FDS])
{
	for (int i = 0; i < FDS; i++)
		if (p[i] >= 0)
			close(take_fd(&p[i]));
}

struct logger *logger_start(struct loop *loop, const struct uri *uri,
			    const struct logger_name *name, int pipes[LOGGER_PIPES], loop_fn *ended,
			    void *arg, struct qbx_err *err)
{
	struct logger *l = calloc(1, sizeof(*l));
	int ours[FDS] = { -1, -1, -1 }, theirs[FDS] = { -1, -1, -1 }, pidfd = -1;

	if (l)
		*l = (struct logger){ .loop = loop, .ended = ended, .arg = arg, .ready_fd = -1 };
	if (!l || !(l->path = strdup(uri->path)))
		err_sys(err, ENOMEM, "start %s", uri->path);
	else if (make_pipes(ours, theirs) < 0)
		err_sys(err, errno, "start %s", uri->path);
	else
		pidfd = spawn(uri, name, theirs, err);
	close_pipes(theirs);
	if (pidfd >= 0)
		l->child = loop_add_child(loop, pidfd, on_ended, l, err);
	if (pidfd < 0 || !l->child) { /* without a watch it ends with its pipes */
		close_pipes(ours);
		logger_free(l);
		return NULL;
	}
	memcpy(pipes, ours, LOGGER_PIPES * sizeof(*pipes));
	l->ready_fd = ours[LOGGER_PIPES];
	return l;
}
