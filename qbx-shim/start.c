/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - have a shim serve in the background, and say where
 *
 * containerd reads standard output and standard error of this process as one text, until both are
 * closed: the text must be the address alone, and the serving process must hold neither. That one
 * gets the listening socket as its standard input, so a connection waits there from the moment that
 * the address is known.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "address.h"
#include "bootstrap.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "proc.h"
#include "shim.h"

#define OOM_SCORE_ADJ_MAX 1000

static int read_bootstrap(struct bootstrap *b, const struct flags *f, struct qbx_err *err)
{
	_cleanup_free_ char *data = NULL;
	size_t len;

	if (io_read_all(STDIN_FILENO, BOOTSTRAP_MAX, "standard input", &data, &len, err) < 0)
		return -1;
	return bootstrap_decode(b, (const uint8_t *)data, len, f->id, f->namespace, err);
}

/* One above containerd's own, so that memory shortage ends a shim before the daemon. */
static void adjust_oom_score(pid_t pid)
{
	char path[64], text[24];
	_cleanup_free_ char *theirs = NULL;
	struct qbx_err err = { 0 };
	long score;
	size_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)getppid());
	if (io_read_file(AT_FDCWD, path, 32, &theirs, &len, &err) < 0) {
		log_warn("%s", err.msg);
		return;
	}
	score = strtol(theirs, NULL, 10) + 1;
	if (score > OOM_SCORE_ADJ_MAX)
		score = OOM_SCORE_ADJ_MAX;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	snprintf(text, sizeof(text), "%ld", score);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || io_write_all(fd, text, strlen(text)) < 0)
		log_warn("write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int spawn_server(const struct flags *f, int listener, struct qbx_err *err)
{
	const char *argv[] = { "/proc/self/exe",
			       "-namespace",
			       f->namespace,
			       "-id",
			       f->id,
			       "-address",
			       f->address ? f->address : "",
			       f->debug ? "-debug=true" : "-debug=false",
			       "serve",
			       NULL };
	const struct proc_fd fds[] = { { listener, STDIN_FILENO } };
	struct proc_spec spec = {
		.argv = argv, .fds = fds, .nfds = ARRAY_SIZE(fds), .netns = -1, .detach = 1
	};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int pidfd;
	pid_t pid;

	if (n > 0) { /* its name in ps(1) */
		self[n] = '\0';
		argv[0] = self;
	}
	if (proc_spawn(&spec, &pid, &pidfd, err) < 0)
		return -1;
	close(pidfd);
	adjust_oom_score(pid);
	return 0;
}

static int print_address(const struct bootstrap *b, const char *address, struct qbx_err *err)
{
	json_auto_t *j = NULL;

	if (!b->params) {
		if (io_write_all(STDOUT_FILENO, address, strlen(address)) < 0)
			return err_sys(err, errno, "write standard output");
		return 0;
	}
	j = json_pack("{s:i, s:s, s:s}", "version", 2, "address", address, "protocol", "ttrpc");
	if (!j)
		return err_sys(err, ENOMEM, "print the address");
	return json_write_fd(STDOUT_FILENO, j, "standard output", err);
}

/* Bind and serve, unless a shim of the same pod does so already. */
static int serve_at(const struct flags *f, const struct sockaddr_un *un, struct qbx_err *err)
{
	_cleanup_close_ int listener = address_listen(un, err);

	if (listener < 0 && err->sys == EADDRINUSE)
		return 0;
	if (listener < 0)
		return -1;
	if (spawn_server(f, listener, err) < 0) {
		unlink(un->sun_path);
		return -1;
	}
	return 0;
}

int start_main(const struct flags *f, struct qbx_err *err)
{
	_cleanup_close_ int log = open(SHIM_LOG, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(config_free) struct config cfg = { 0 };
	char address[sizeof(ADDRESS_SCHEME) + sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct sockaddr_un un;
	struct bootstrap b;

	log_open("qbx-shim", log < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, log);
	/* What is wrong with the configuration is better said here, where somebody listens. */
	if (config_load(&cfg, err) < 0 || read_bootstrap(&b, f, err) < 0)
		return -1;
	if (address_make(&un, b.socket_dir[0] ? b.socket_dir : NULL, f, ".", err) < 0)
		return -1;
	snprintf(address, sizeof(address), "%s%s", ADDRESS_SCHEME, un.sun_path);
	if (serve_at(f, &un, err) < 0)
		return -1;
	if (io_write_file(AT_FDCWD, SHIM_ADDRESS, 0600, address, strlen(address), err) < 0)
		return -1;
	return print_address(&b, address, err);
}
