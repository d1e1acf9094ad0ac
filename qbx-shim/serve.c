/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - the shim in the background: sockets, signals, the loop
 *
 * It ends when Shutdown finds no container, and at nothing else: SIGTERM and SIGINT are logged and
 * ignored, as a container must not depend on who signals whom first when a host goes down.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "container.h"
#include "events.h"
#include "io.h"
#include "log.h"
#include "shim.h"
#include "ttrpc.h"

#define QUIT_MS 2000u /* for the last answers and events to leave; containerd waits 3 s */

struct connection {
	struct connection *next;
	struct serving *serving;
	struct ttrpc_conn *ttrpc;
};

struct serving {
	struct shim *shim;
	int listener;
	struct watch *listener_watch, *quit_timer, *signals;
	struct connection *connections;
	unsigned unflushed; /* while quitting */
};

/* ---- connections ---- */

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct connection *c = arg, **at = &c->serving->connections;

	(void)conn;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	service_disconnected(c->serving->shim);
	free(c);
}

/* Only root, or whoever runs us: the socket's mode says the same, but might be changed. */
static int check_peer(int fd, struct qbx_err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(err, errno, "identify a peer");
	if (peer.uid != 0 && peer.uid != geteuid())
		return err_code(err, EX_NOPERM, "process %d of user %u may not connect",
				(int)peer.pid, (unsigned)peer.uid);
	return 0;
}

static int serve_connection(struct serving *s, int fd, struct qbx_err *err)
{
	_cleanup_close_ int conn = fd;
	struct connection *c;

	if (check_peer(conn, err) < 0)
		return -1;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_sys(err, ENOMEM, "serve a connection");
	c->serving = s;
	c->ttrpc = ttrpc_new(s->shim->loop, take_fd(&conn), service_methods, s->shim, on_closed, c,
			     err);
	if (!c->ttrpc) {
		free(c);
		return -1;
	}
	c->next = s->connections;
	s->connections = c;
	return 0;
}

static void on_connection(void *arg, uint32_t events)
{
	struct serving *s = arg;
	struct qbx_err err = { 0 };
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	if (fd < 0)
		err_sys(&err, errno, "accept");
	if (fd < 0 || serve_connection(s, fd, &err) < 0)
		log_warn("connection refused: %s", err.msg);
}

/* ---- the end ---- */

static void on_quit(void *arg)
{
	struct serving *s = arg;

	loop_stop(s->shim->loop);
}

static void on_quit_timer(void *arg)
{
	struct serving *s = arg;

	s->quit_timer = NULL;
	log_warn("not everything could be told before the end");
	loop_stop(s->shim->loop);
}

static void on_flushed(void *arg)
{
	struct serving *s = arg;

	if (--s->unflushed == 0)
		events_on_idle(s->shim->events, on_quit, s);
}

void shim_quit(struct shim *shim)
{
	struct serving *s = shim->serving;
	struct qbx_err err = { 0 };

	if (s->quit_timer)
		return;
	s->quit_timer = loop_add_timer(shim->loop, QUIT_MS, on_quit_timer, s, &err);
	loop_remove(s->listener_watch);
	s->listener_watch = NULL;
	s->unflushed = 1; /* this function's own hold */
	for (struct connection *c = s->connections; c; c = c->next) {
		s->unflushed++;
		ttrpc_on_flush(c->ttrpc, on_flushed, s);
	}
	on_flushed(s);
}

/* ---- signals ---- */

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct shim *shim = arg;

	if (info->ssi_signo == SIGCHLD)
		jobs_reap(&shim->jobs);
	else
		log_info("signal %u from process %u is ignored: containers are ended through "
			 "containerd",
			 info->ssi_signo, info->ssi_pid);
}

static int watch_signals(struct serving *s, struct qbx_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	s->signals = loop_add_signals(s->shim->loop, &set, on_signal, s->shim, err);
	return s->signals ? 0 : -1;
}

/* ---- set-up ---- */

/* Move the listening socket off standard input, which is for nobody else. */
static int take_listener(struct serving *s, struct qbx_err *err)
{
	int listening = 0, null;
	socklen_t len = sizeof(listening);

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening)
		return err_code(err, EX_USAGE, "serve: standard input must be a listening socket");
	s->listener = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->listener < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
		return err_sys(err, errno, "take the listening socket");
	close(null);
	if (io_set_nonblock(s->listener, 1) < 0)
		return err_sys(err, errno, "take the listening socket");
	s->listener_watch = loop_add_fd(s->shim->loop, s->listener, EPOLLIN, on_connection, s, err);
	return s->listener_watch ? 0 : -1;
}

static void unlink_socket(const struct serving *s)
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un) - 1;

	if (getsockname(s->listener, (struct sockaddr *)&un, &len) == 0 && un.sun_path[0] == '/')
		unlink(un.sun_path);
}

static int set_up(struct shim *shim, struct serving *s, struct qbx_err *err)
{
	const char *ttrpc_address = getenv("TTRPC_ADDRESS");

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(err, errno, "become a subreaper");
	shim->loop = loop_new(err);
	if (!shim->loop)
		return -1;
	shim->jobs.loop = shim->loop;
	shim->events =
		events_new(shim->loop, ttrpc_address && ttrpc_address[0] ? ttrpc_address : NULL,
			   shim->namespace, err);
	return shim->events && watch_signals(s, err) == 0 && take_listener(s, err) == 0 ? 0 : -1;
}

static void tear_down(struct shim *shim, struct serving *s)
{
	while (shim->containers)
		container_free(shim->containers);
	jobs_kill(&shim->jobs);
	events_free(shim->events);
	while (s->connections) {
		struct connection *c = s->connections;

		s->connections = c->next;
		ttrpc_free(c->ttrpc);
		free(c);
	}
	if (s->listener >= 0) {
		unlink_socket(s);
		close(s->listener);
	}
	loop_free(shim->loop);
	config_free(&shim->cfg);
}

int serve_main(const struct flags *f, struct qbx_err *err)
{
	_cleanup_close_ int log = open(SHIM_LOG, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct shim shim = { .namespace = f->namespace };
	struct serving s = { .shim = &shim, .listener = -1 };
	int failed;

	shim.serving = &s;
	if (config_load(&shim.cfg, err) < 0)
		return -1;
	shim.jobs.debug = f->debug || shim.cfg.debug;
	log_open("qbx-shim", shim.jobs.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, log);
	failed = set_up(&shim, &s, err);
	if (!failed)
		failed = loop_run(shim.loop, err);
	if (failed)
		log_error("%s", err->msg);
	tear_down(&shim, &s);
	return failed;
}
