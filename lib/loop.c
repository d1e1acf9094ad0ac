/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the reactor */
#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>

#include "proc.h"

enum watch_kind { WATCH_FD, WATCH_TIMER, WATCH_DEFER, WATCH_SIGNALS, WATCH_CHILD };

struct watch {
	struct loop *loop;
	struct watch *prev, *next; /* in loop->watches, or the singly linked loop->dead */
	enum watch_kind kind;
	int fd;		 /* -1 for WATCH_DEFER */
	int own_fd;	 /* close it with the watch */
	int polled;	 /* in the epoll; else it is always ready */
	uint32_t events; /* wanted */
	int removed;
	void *arg;
	union {
		loop_fd_fn *fd;
		loop_fn *plain;
		loop_signal_fn *signal;
		loop_child_fn *child;
	} fn;
};

struct loop {
	int epfd;
	int stopped;
	struct watch *watches;
	struct watch *dead; /* removed while dispatching: freed between rounds */
	unsigned unpolled;  /* watches that are ready without epoll's word */
};

struct loop *loop_new(struct qbx_err *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		err_sys(err, ENOMEM, "make an event loop");
		return NULL;
	}
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		err_sys(err, errno, "make an event loop");
		free(loop);
		return NULL;
	}
	return loop;
}

static void bury(struct loop *loop)
{
	while (loop->dead) {
		struct watch *w = loop->dead;

		loop->dead = w->next;
		free(w);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->watches)
		loop_remove(loop->watches);
	bury(loop);
	close(loop->epfd);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = 1;
}

static void dispatch_timer(struct watch *w)
{
	loop_fn *fn = w->fn.plain;
	void *arg = w->arg;

	loop_remove(w);
	fn(arg);
}

static void dispatch_signals(struct watch *w)
{
	struct signalfd_siginfo info;

	while (!w->removed && read(w->fd, &info, sizeof(info)) == sizeof(info))
		w->fn.signal(w->arg, &info);
}

static void dispatch_child(struct watch *w)
{
	loop_child_fn *fn = w->fn.child;
	void *arg = w->arg;
	int status = proc_reap(w->fd);

	loop_remove(w);
	fn(arg, status);
}

static void dispatch(struct watch *w, uint32_t events)
{
	switch (w->kind) {
	case WATCH_FD:
		w->fn.fd(w->arg, events);
		break;
	case WATCH_TIMER:
	case WATCH_DEFER:
		dispatch_timer(w);
		break;
	case WATCH_SIGNALS:
		dispatch_signals(w);
		break;
	case WATCH_CHILD:
		dispatch_child(w);
		break;
	}
}

/* Watches that need no epoll. Those added meanwhile stand in front, and wait for the next round. */
static void dispatch_unpolled(struct loop *loop)
{
	for (struct watch *w = loop->watches, *next; w; w = next) {
		if (!w->polled && !w->removed && w->events)
			dispatch(w, w->events);
		next = w->next;
		if (w->removed) /* its links may be stale: the next round takes the rest */
			break;
	}
}

int loop_run(struct loop *loop, struct qbx_err *err)
{
	struct epoll_event ev[32];

	loop->stopped = 0;
	while (!loop->stopped) {
		int n = epoll_wait(loop->epfd, ev, ARRAY_SIZE(ev), loop->unpolled ? 0 : -1);

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "wait for events");
		for (int i = 0; i < n; i++) {
			struct watch *w = ev[i].data.ptr;

			if (!w->removed)
				dispatch(w, ev[i].events);
		}
		if (loop->unpolled)
			dispatch_unpolled(loop);
		bury(loop);
	}
	return 0;
}

static int counts_unpolled(const struct watch *w)
{
	return !w->polled && w->events;
}

static struct watch *add(struct loop *loop, enum watch_kind kind, int fd, uint32_t events,
			 struct qbx_err *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!w) {
		err_sys(err, ENOMEM, "watch a descriptor");
		return NULL;
	}
	w->loop = loop;
	w->kind = kind;
	w->fd = fd;
	w->events = events;
	w->polled = 1;
	if (fd < 0) {
		w->polled = 0;
	} else if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		if (errno != EPERM) {
			err_sys(err, errno, "watch a descriptor");
			free(w);
			return NULL;
		}
		w->polled = 0;
	}
	w->next = loop->watches;
	if (w->next)
		w->next->prev = w;
	loop->watches = w;
	loop->unpolled += (unsigned)counts_unpolled(w);
	return w;
}

struct watch *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
			  struct qbx_err *err)
{
	struct watch *w = add(loop, WATCH_FD, fd, events, err);

	if (!w)
		return NULL;
	w->fn.fd = fn;
	w->arg = arg;
	return w;
}

void loop_set_events(struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (w->removed || w->events == events)
		return;
	w->loop->unpolled -= (unsigned)counts_unpolled(w);
	/* At rest it leaves the epoll: a hang-up is reported there even when nothing is asked for. */
	if (w->polled && events == 0)
		epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	else if (w->polled)
		epoll_ctl(w->loop->epfd, w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev);
	w->events = events;
	w->loop->unpolled += (unsigned)counts_unpolled(w);
}

/* Add a watch on a descriptor that it owns; closes @fd on failure. */
static struct watch *add_owned(struct loop *loop, enum watch_kind kind, int fd, void *arg,
			       struct qbx_err *err)
{
	struct watch *w = add(loop, kind, fd, EPOLLIN, err);

	if (!w) {
		close(fd);
		return NULL;
	}
	w->own_fd = 1;
	w->arg = arg;
	return w;
}

struct watch *loop_add_timer(struct loop *loop, unsigned ms, loop_fn *fn, void *arg,
			     struct qbx_err *err)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct watch *w;

	if (ms == 0)
		when.it_value.tv_nsec = 1; /* all zero would disarm it */
	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0) {
		err_sys(err, errno, "set a timer");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	w = add_owned(loop, WATCH_TIMER, fd, arg, err);
	if (w)
		w->fn.plain = fn;
	return w;
}

struct watch *loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
	struct qbx_err err;
	struct watch *w = add(loop, WATCH_DEFER, -1, EPOLLIN, &err);

	if (!w)
		return NULL;
	w->arg = arg;
	w->fn.plain = fn;
	return w;
}

struct watch *loop_add_signals(struct loop *loop, const sigset_t *set, loop_signal_fn *fn, void *arg,
			       struct qbx_err *err)
{
	struct watch *w;
	int fd;

	if (sigprocmask(SIG_BLOCK, set, NULL) < 0) {
		err_sys(err, errno, "block signals");
		return NULL;
	}
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		err_sys(err, errno, "watch signals");
		return NULL;
	}
	w = add_owned(loop, WATCH_SIGNALS, fd, arg, err);
	if (w)
		w->fn.signal = fn;
	return w;
}

struct watch *loop_add_child(struct loop *loop, int pidfd, loop_child_fn *fn, void *arg,
			     struct qbx_err *err)
{
	struct watch *w = add_owned(loop, WATCH_CHILD, pidfd, arg, err);

	if (w)
		w->fn.child = fn;
	return w;
}

void loop_remove(struct watch *w)
{
	struct loop *loop;

	if (!w || w->removed)
		return;
	loop = w->loop;
	w->removed = 1;
	loop->unpolled -= (unsigned)counts_unpolled(w);
	if (w->polled && w->events)
		epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	if (w->own_fd)
		close(w->fd);
	if (w->prev)
		w->prev->next = w->next;
	else
		loop->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = loop->dead;
	loop->dead = w;
}
