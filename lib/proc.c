/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - processes: start them, name them without mistake, run one to its end */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "io.h"

int proc_identify(pid_t pid, struct proc_id *id)
{
	char path[40], text[1024], *p;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0) {
		errno = ESRCH;
		return -1;
	}
	text[n] = '\0';
	/* The command name may hold anything, so count fields from the last bracket: state is 3rd. */
	p = strrchr(text, ')');
	for (int field = 3; p && field <= 22; field++)
		p = strchr(p + 1, ' ');
	if (!p) {
		errno = ESRCH;
		return -1;
	}
	id->pid = pid;
	id->start = strtoull(p + 1, NULL, 10);
	return 0;
}

int proc_open(const struct proc_id *id)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, id->pid, 0);
	struct proc_id now;

	if (fd < 0)
		return -1;
	/* Opened first, so the process that is compared cannot be replaced afterwards. */
	if (proc_identify(id->pid, &now) < 0)
		return -1;
	if (now.start != id->start) {
		errno = ESRCH;
		return -1;
	}
	return take_fd(&fd);
}

json_t *proc_to_json(const struct proc_id *id)
{
	return json_pack("{s:i, s:I}", "pid", (int)id->pid, "start", (json_int_t)id->start);
}

int proc_from_json(const json_t *j, struct proc_id *id, struct qbx_err *err)
{
	json_error_t je;
	json_int_t start;
	int pid;

	if (json_unpack_ex((json_t *)j, &je, 0, "{s:i, s:I}", "pid", &pid, "start", &start) < 0)
		return err_code(err, EX_DATAERR, "process: %s", je.text);
	if (pid <= 1 || start < 0)
		return err_code(err, EX_DATAERR, "process: pid %d is not one of ours", pid);
	id->pid = pid;
	id->start = (unsigned long long)start;
	return 0;
}

static const char *program_of(const struct proc_spec *spec)
{
	return spec->program ? spec->program : spec->argv[0];
}

/* The first number that is no descriptor the child wants. */
static int beyond_wanted(const struct proc_spec *spec)
{
	int beyond = 3;

	for (size_t i = 0; i < spec->nfds; i++)
		if (spec->fds[i].to >= beyond)
			beyond = spec->fds[i].to + 1;
	return beyond;
}

/* Each descriptor is there three times for a moment, and many programs make another of each. */
static void make_room(const struct proc_spec *spec)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || spec->nfds * 4 + 128 < limit.rlim_cur)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Move the wanted descriptors out of the way of each other, then into place. */
static int place_fds(const struct proc_spec *spec)
{
	_cleanup_free_ int *high = calloc(spec->nfds + 1, sizeof(*high));
	int beyond = beyond_wanted(spec);

	/* What came to us from who started us is not meant for the child either. */
	if (!high || close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (size_t i = 0; i < spec->nfds; i++) {
		high[i] = fcntl(spec->fds[i].from, F_DUPFD_CLOEXEC, beyond);
		if (high[i] < 0)
			return -1;
	}
	for (int fd = 0; fd <= 2; fd++) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	}
	for (size_t i = 0; i < spec->nfds; i++)
		if (dup2(high[i], spec->fds[i].to) < 0)
			return -1;
	return 0;
}

/* The two pipes between proc_spawn() and its child; each side closes the ends it does not use. */
struct birth {
	int gate[2];   /* a byte lets the child go on; end of file ends it */
	int report[2]; /* a struct failure; end of file: the program runs */
};

struct failure {
	int sys;
	char what[60]; /* empty: the program could not be run */
};

/* In the child: wait for the parent's word. */
static void await_gate(struct birth *b)
{
	char byte;

	close(b->gate[1]);
	close(b->report[0]);
	if (read(b->gate[0], &byte, 1) != 1)
		_exit(127);
}

/* In the child. A change of user id unties it again. */
static void tie_to(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
}

/* In the child: all but the exec. Return: NULL, or with errno what could not be done. */
static const char *prepare(const struct proc_spec *spec, pid_t parent)
{
	const char *failed;

	if ((spec->detach && setsid() < 0) ||
	    (spec->netns >= 0 && setns(spec->netns, CLONE_NEWNET) < 0) ||
	    (spec->cwd && chdir(spec->cwd) < 0) || place_fds(spec) < 0)
		return "";
	failed = spec->confine ? spec->confine(spec->confine_arg) : NULL;
	if (!failed && spec->die_with_us)
		tie_to(parent);
	return failed;
}

/* In the child. Any failure goes to the report; returns only then. */
static void child(const struct proc_spec *spec, pid_t parent, struct birth *b)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	struct failure f = { 0 };
	const char *failed = "";
	sigset_t none;
	int report;

	for (int s = 1; s < SIGRTMIN; s++)
		sigaction(s, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (spec->die_with_us)
		tie_to(parent);
	await_gate(b);
	make_room(spec);
	report = fcntl(b->report[1], F_DUPFD_CLOEXEC, beyond_wanted(spec));
	if (report >= 0)
		failed = prepare(spec, parent);
	if (!failed) {
		if (spec->envp)
			environ = (char **)spec->envp;
		execvp(program_of(spec), (char *const *)spec->argv);
		failed = "";
	}
	f.sys = errno;
	snprintf(f.what, sizeof(f.what), "%s", failed);
	if (write(report, &f, sizeof(f)) < 0)
		_exit(127);
}

/* In the parent: let the child go on, and hear how far it came. Return: 0, or -1 with @err. */
static int deliver(const struct proc_spec *spec, pid_t pid, struct birth *b, struct qbx_err *err)
{
	struct failure f;
	ssize_t n;

	if (spec->born && spec->born(spec->born_arg, pid, err) < 0)
		return -1;
	close(take_fd(&b->report[1]));
	if (write(b->gate[1], "", 1) != 1)
		return err_sys(err, errno, "start %s", program_of(spec));
	do
		n = read(b->report[0], &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(f))
		return err_sys(err, EIO, "start %s", program_of(spec));
	f.what[sizeof(f.what) - 1] = '\0';
	if (!f.what[0])
		return err_sys(err, f.sys, "start %s", program_of(spec));
	return err_sys(err, f.sys, "start %s: %s", program_of(spec), f.what);
}

static void birth_close(struct birth *b)
{
	for (int i = 0; i < 2; i++) {
		cleanup_closep(&b->gate[i]);
		cleanup_closep(&b->report[i]);
	}
}

int proc_spawn(const struct proc_spec *spec, pid_t *pid, int *pidfd, struct qbx_err *err)
{
	_cleanup_(birth_close) struct birth b = { { -1, -1 }, { -1, -1 } };
	pid_t parent = getpid();

	if (pipe2(b.gate, O_CLOEXEC) < 0 || pipe2(b.report, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start %s", program_of(spec));
	*pid = fork();
	if (*pid < 0)
		return err_sys(err, errno, "start %s", program_of(spec));
	if (*pid == 0) {
		child(spec, parent, &b);
		_exit(127);
	}
	*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	if (*pidfd < 0)
		err_sys(err, errno, "start %s", program_of(spec));
	else if (deliver(spec, *pid, &b, err) == 0)
		return 0;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	if (*pidfd >= 0)
		close(*pidfd);
	return -1;
}

int proc_exit_status(int wstatus)
{
	if (WIFEXITED(wstatus))
		return WEXITSTATUS(wstatus);
	return 128 + WTERMSIG(wstatus);
}

int proc_reap(int pidfd)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -1;
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void proc_output_free(struct proc_output *o)
{
	free(o->out);
	free(o->err);
	memset(o, 0, sizeof(*o));
}

const char *proc_output_says(const struct proc_output *o)
{
	char *rest = o->err, *line;

	while ((line = strsep(&rest, "\n")))
		if (*err_clean(line))
			return line;
	return "it says nothing";
}

/* One collected stream. */
struct collect {
	int fd;
	char *buf;
	size_t len, size;
};

/* Read once into @c. Return: 0, or -1 with errno (EFBIG past @max). Closes at the end. */
static int collect_some(struct collect *c, size_t max)
{
	ssize_t n;

	if (c->size - c->len < 4096) {
		char *grown = realloc(c->buf, c->size + 16384);

		if (!grown)
			return -1;
		c->buf = grown;
		c->size += 16384;
	}
	n = read(c->fd, c->buf + c->len, c->size - c->len - 1);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	if (n == 0)
		close(take_fd(&c->fd));
	c->len += (size_t)n;
	c->buf[c->len] = '\0';
	if (c->len > max) {
		errno = EFBIG;
		return -1;
	}
	return 0;
}

/* Give the child some input; a child that does not want it is no error. */
static void feed_some(int *fd, const char **in, size_t *left)
{
	ssize_t n = *left ? write(*fd, *in, *left) : 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		*in += n;
		*left -= (size_t)n;
	}
	if (n < 0 || *left == 0)
		close(take_fd(fd));
}

/* Until both outputs end and the child has gone. Return: 0, or -1 with errno. */
static int converse(int pidfd, int *infd, const char *in, size_t in_len, struct collect *c,
		    size_t max, int timeout_ms)
{
	unsigned long long end = io_now_us() + (unsigned long long)timeout_ms * 1000;

	for (int alive = 1; alive || c[0].fd >= 0 || c[1].fd >= 0;) {
		struct pollfd p[4] = {
			{ .fd = *infd, .events = POLLOUT },
			{ .fd = c[0].fd, .events = POLLIN },
			{ .fd = c[1].fd, .events = POLLIN },
			{ .fd = alive ? pidfd : -1, .events = POLLIN },
		};
		unsigned long long now = io_now_us();
		int wait = timeout_ms < 0 ? -1 : end <= now ? 0 : (int)((end - now + 999) / 1000);
		int n = poll(p, 4, wait);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (n < 0)
			continue;
		if (p[0].revents)
			feed_some(infd, &in, &in_len);
		for (int i = 0; i < 2; i++)
			if (p[1 + i].revents && collect_some(&c[i], max) < 0)
				return -1;
		if (p[3].revents)
			alive = 0;
	}
	return 0;
}

int proc_run(const struct proc_spec *spec, const void *in, size_t in_len, size_t max,
	     int timeout_ms, struct proc_output *o, struct qbx_err *err)
{
	struct proc_spec s = *spec;
	struct proc_fd fds[16];
	struct collect c[2] = { { .fd = -1 }, { .fd = -1 } };
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int pidfd = -1, failed = 0, saved = 0;
	unsigned long long began;
	pid_t pid = 0;

	memset(o, 0, sizeof(*o));
	if (s.nfds + 3 > ARRAY_SIZE(fds))
		BUG("too many descriptors for proc_run");
	for (int i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			failed = err_sys(err, errno, "start %s", s.argv[0]);
	if (s.nfds)
		memcpy(fds, s.fds, s.nfds * sizeof(*fds));
	fds[s.nfds++] = (struct proc_fd){ pipes[0][0], 0 };
	fds[s.nfds++] = (struct proc_fd){ pipes[1][1], 1 };
	fds[s.nfds++] = (struct proc_fd){ pipes[2][1], 2 };
	s.fds = fds;
	if (!failed)
		failed = proc_spawn(&s, &pid, &pidfd, err);
	began = io_now_us();
	for (int i = 0; i < 3; i++) {
		int theirs = i == 0 ? pipes[i][0] : pipes[i][1];

		if (theirs >= 0)
			close(theirs);
	}
	c[0].fd = pipes[1][0];
	c[1].fd = pipes[2][0];
	if (!failed) {
		io_set_nonblock(pipes[0][1], 1);
		failed = converse(pidfd, &pipes[0][1], in, in_len, c, max, timeout_ms);
		saved = errno;
		if (failed)
			kill(s.detach ? -pid : pid, SIGKILL);
		o->status = proc_reap(pidfd);
		o->ran_us = io_now_us() - began;
		close(pidfd);
		if (failed && saved == EFBIG)
			err_code(err, EX_DATAERR, "%s: more than %zu bytes of output", s.argv[0],
				 max);
		else if (failed)
			err_sys(err, saved, "run %s", s.argv[0]);
	}
	for (int i = 0; i < 2; i++)
		if (c[i].fd >= 0)
			close(c[i].fd);
	if (pipes[0][1] >= 0)
		close(pipes[0][1]);
	o->out = c[0].buf;
	o->out_len = c[0].len;
	o->err = c[1].buf;
	o->err_len = c[1].len;
	if (failed)
		proc_output_free(o);
	return failed;
}
