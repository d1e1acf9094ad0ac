/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - the reactor: descriptors, timers, signals and children in one epoll
 *
 * Callbacks run one at a time from loop_run(). A callback may remove any watch, its own included;
 * no callback of a removed watch runs afterwards.
 */
#ifndef QBX_LOOP_H
#define QBX_LOOP_H

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "err.h"

struct loop;
struct watch;

/** loop_new() - Return: a loop that loop_free() frees, or NULL with @err. */
struct loop *loop_new(struct qbx_err *err) _must_check_;
void loop_free(struct loop *loop); /* and every watch left in it */

/** loop_run() - dispatch until loop_stop(). Return: 0, or -1 with @err. */
int loop_run(struct loop *loop, struct qbx_err *err) _must_check_;
void loop_stop(struct loop *loop);

typedef void loop_fd_fn(void *arg, uint32_t events);

/**
 * loop_add_fd() - call @fn when @fd is ready for @events (EPOLLIN, EPOLLOUT; level-triggered)
 * @fd: borrowed. A regular file, which epoll refuses, counts as always ready.
 * Return: the watch, or NULL with @err.
 */
struct watch *loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg,
			  struct qbx_err *err) _must_check_;

/** loop_set_events() - change what a descriptor watch waits for; 0 rests it. */
void loop_set_events(struct watch *w, uint32_t events);

typedef void loop_fn(void *arg);

/** loop_add_timer() - call @fn once, @ms from now; the watch is gone when @fn runs. */
struct watch *loop_add_timer(struct loop *loop, unsigned ms, loop_fn *fn, void *arg,
			     struct qbx_err *err) _must_check_;

/** loop_defer() - call @fn once, after the callbacks that are due now; gone when it runs. */
struct watch *loop_defer(struct loop *loop, loop_fn *fn, void *arg) _must_check_;

typedef void loop_signal_fn(void *arg, const struct signalfd_siginfo *info);

/** loop_add_signals() - block @set and have its signals delivered to @fn. */
struct watch *loop_add_signals(struct loop *loop, const sigset_t *set, loop_signal_fn *fn, void *arg,
			       struct qbx_err *err) _must_check_;

typedef void loop_child_fn(void *arg, int status);

/**
 * loop_add_child() - reap a child of ours when it ends
 * @pidfd: taken over, closed with the watch
 * @fn: gets proc_exit_status(), or -1 if somebody else reaped it; the watch is gone when it runs
 */
struct watch *loop_add_child(struct loop *loop, int pidfd, loop_child_fn *fn, void *arg,
			     struct qbx_err *err) _must_check_;

/** loop_remove() - forget a watch; NULL is allowed. */
void loop_remove(struct watch *w);

#endif
