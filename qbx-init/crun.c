/* SPDX-License-Identifier: Apache-2.0 */
/* crun.c - have crun(1) do something */
#include "crun.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "proc.h"

#define PATIENCE_MS 120000u
#define ARGS_MAX 16u
#define LOG_MAX (256u << 10)
#define TOLD_MAX 16 /* warnings of one crun */

struct crun {
	struct vm *vm;
	pid_t pid;
	char *log, *command;
	struct watch *timer;
	bool late;
	int oom_score_adj;
	crun_done_fn *done;
	void *arg;
};

static bool entry_text(const json_t *entry, const char *wanted, char message[CRUN_MESSAGE_MAX])
{
	const char *level = json_string_value(json_object_get(entry, "level"));
	const char *msg = json_string_value(json_object_get(entry, "msg"));

	if (!level || !msg || strcmp(level, wanted))
		return false;
	snprintf(message, CRUN_MESSAGE_MAX, "%s", msg);
	err_clean(message);
	return message[0] != '\0';
}

/* Entries follow each other; some versions of crun put each on one line, others on several. */
bool crun_log_next(const char **log, size_t *len, const char *level, char message[CRUN_MESSAGE_MAX])
{
	message[0] = '\0';
	while (*len > 0) {
		json_error_t end = { 0 };
		json_auto_t *entry = json_loadb(*log, *len, JSON_DISABLE_EOF_CHECK, &end);

		if (!entry || end.position <= 0)
			return false;
		*log += end.position;
		*len -= (size_t)end.position;
		if (entry_text(entry, level, message))
			return true;
	}
	return false;
}

int crun_errno(const char *message)
{
	static const int told_apart[] = { ENOENT, EACCES, EPERM, ENOEXEC };
	size_t len = strlen(message);

	for (size_t i = 0; i < ARRAY_SIZE(told_apart); i++) {
		const char *text = strerror(told_apart[i]);

		if (len >= strlen(text) && !strcmp(message + len - strlen(text), text))
			return told_apart[i];
	}
	return 0;
}

/* What went wrong, in crun's own words where it left any. */
static void explain(const struct crun *c, int status, struct qbx_err *err)
{
	_cleanup_free_ char *log = NULL;
	char message[CRUN_MESSAGE_MAX] = "";
	struct qbx_err unread = { 0 };
	const char *at;
	size_t len;

	if (c->late) {
		err_sys(err, ETIMEDOUT, "crun %s", c->command);
		return;
	}
	if (io_read_file(AT_FDCWD, c->log, LOG_MAX, &log, &len, &unread) == 0) {
		at = log;
		(void)crun_log_next(&at, &len, "error", message);
	}
	if (message[0])
		err_code(err, EX_UNAVAILABLE, "crun %s: %s", c->command, message);
	else
		err_code(err, EX_UNAVAILABLE, "crun %s: exit status %d, and it left no error",
			 c->command, status);
	err->sys = crun_errno(message);
}

/* Names in a specification that mean nothing to crun, or to the kernel, are left out by it. */
static void tell_unknown(const struct crun *c)
{
	_cleanup_free_ char *log = NULL;
	char message[CRUN_MESSAGE_MAX];
	struct qbx_err unread = { 0 };
	const char *at;
	size_t len;

	if (io_read_file(AT_FDCWD, c->log, LOG_MAX, &log, &len, &unread) < 0)
		return;
	at = log;
	for (int n = 0; n < TOLD_MAX && crun_log_next(&at, &len, "warning", message);)
		if (!strncmp(message, "unknown ", strlen("unknown "))) {
			log_info("crun %s: %s", c->command, message);
			n++;
		}
}

static void crun_free(struct crun *c)
{
	loop_remove(c->timer);
	free(c->log);
	free(c->command);
	free(c);
}

static void on_exit_status(void *arg, int status)
{
	struct crun *c = arg;
	crun_done_fn *done = c->done;
	void *done_arg = c->arg;
	struct qbx_err err = { 0 };
	bool failed = status != 0;

	if (failed)
		explain(c, status, &err);
	else
		tell_unknown(c);
	crun_free(c);
	done(done_arg, failed ? &err : NULL);
}

static void on_late(void *arg)
{
	struct crun *c = arg;

	c->timer = NULL;
	c->late = true;
	kill(c->pid, SIGKILL);
}

/* In the child: what an exec inherits from crun, which does not set it then. */
static int set_oom_score_adj(int score)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	return fd < 0 || dprintf(fd, "%d", score) < 0 ? -1 : 0;
}

static const char *confine(void *arg)
{
	const struct crun *c = arg;

	if (setrlimit(RLIMIT_NOFILE, &c->vm->files) < 0)
		return "limit descriptors";
	if (c->oom_score_adj && set_oom_score_adj(c->oom_score_adj) < 0)
		return "set oom_score_adj";
	return NULL;
}

static int spawn(struct crun *c, const char *const *args, const int *fds, struct qbx_err *err)
{
	char log_option[512];
	const char *argv[ARGS_MAX + 9] = {
		"crun",
		"--root",
		CRUN_ROOT,
		"--cgroup-manager=cgroupfs",
		log_option,
		"--log-format=json",
		"--log-level=warning",
	};
	struct proc_fd map[3];
	struct proc_spec spec = {
		.argv = argv,
		.cwd = "/",
		.fds = map,
		.netns = -1,
		.confine = confine,
		.confine_arg = c,
	};
	int pidfd;

	for (size_t i = 0, n = 7; args[i]; i++, n++) {
		if (i == ARGS_MAX)
			BUG("too many arguments for crun");
		argv[n] = args[i];
	}
	for (int to = 0; fds && to < 3; to++)
		if (fds[to] >= 0)
			map[spec.nfds++] = (struct proc_fd){ fds[to], to };
	snprintf(log_option, sizeof(log_option), "--log=%s", c->log);
	if (proc_spawn(&spec, &c->pid, &pidfd, err) < 0)
		return -1;
	close(pidfd); /* our children keep their pid until child.c reaps them */
	return child_watch(c->vm, c->pid, on_exit_status, c, err);
}

int crun_run(struct vm *vm, const char *bundle, const char *const *args,
	     const struct crun_child *child, crun_done_fn *done, void *arg, struct qbx_err *err)
{
	struct crun *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sys(err, ENOMEM, "run crun");
	c->vm = vm;
	c->done = done;
	c->arg = arg;
	c->oom_score_adj = child ? child->oom_score_adj : 0;
	c->command = strdup(args[0]);
	if (!c->command || asprintf(&c->log, "%s/crun.log", bundle) < 0) {
		c->log = NULL;
		crun_free(c);
		return err_sys(err, ENOMEM, "run crun");
	}
	if (unlink(c->log) < 0 && errno != ENOENT)
		log_warn("%s: %s", c->log, strerror(errno));
	c->timer = loop_add_timer(vm->loop, PATIENCE_MS, on_late, c, err);
	if (!c->timer || spawn(c, args, child ? child->fds : NULL, err) < 0) {
		crun_free(c);
		return -1;
	}
	return 0;
}

int crun_read_pid(const char *path, pid_t *pid, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	long n;

	if (io_read_file(AT_FDCWD, path, 32, &text, &len, err) < 0)
		return -1;
	n = strtol(text, NULL, 10);
	if (n <= 1 || n > INT32_MAX)
		return err_code(err, EX_SOFTWARE, "%s: \"%s\" is no pid", path, err_clean(text));
	*pid = (pid_t)n;
	return 0;
}
