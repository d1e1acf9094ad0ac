/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fifo.h - a process's stdio: what the client named on this side, streams of the guest on the other
 *
 * Theory of Operation
 *
 * The client names each as a FIFO that it made, as a file (file://) or, for output, as a program of its
 * own (binary://, logger.h), or not at all; uri.h has the form. FIFOs for output are opened for reading
 * as well, so that a client which goes away and comes back causes no EPIPE; the one for input is
 * held open for writing until CloseIO, so that a client that detaches is no end of file. It is
 * opened at Start only: a client whose input ends while Create is pending has no task yet to call
 * CloseIO on, and ctr then never does. What is named twice, for standard output and standard error, is
 * opened once. With a terminal there is no standard error, and the other two are its two directions.
 *
 * After the process has ended its output is drained: the exit must not be told before the last byte
 * is in the FIFO, or a logger has ended. A reader that is stuck would keep it from being told for ever,
 * so a drain in which nothing has moved for a whole period is given up, with a line in the log.
 *
 * A file that is full, or a logger that is gone, takes no more: the rest is dropped, and the process
 * does not notice.
 */
#ifndef SHIM_FIFO_H
#define SHIM_FIFO_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "logger.h"
#include "loop.h"
#include "stream.h"

enum { FIFO_STDIN, FIFO_STDOUT, FIFO_STDERR, FIFO_COUNT };

/* path -> open (fd) -> dialled (dial) -> streaming (stream) -> over; stdin is opened when dialled
 * (sock) */
struct fifo {
	struct fifos *all;
	char *path;	 /* as the client gave it; "" for none */
	int fd;		 /* until a stream takes it */
	int sock;	 /* stdin: to the guest, until a stream takes it */
	uint32_t number; /* of the guest's stream */
	struct dial *dial;
	struct stream *stream;
	struct logger *logger; /* stdout's is stderr's as well, if both name the same */
};

struct fifos {
	struct loop *loop;
	bool terminal;		    /* these three are set between fifos_init() and fifos_open() */
	const char *id, *namespace; /* for a logger; borrowed until fifos_open() returns */
	struct fifo f[FIFO_COUNT];
	int keep;	   /* our writing end of stdin */
	bool stdin_closed; /* by CloseIO */
	unsigned dialling; /* dials that have not come back, and loggers that are not ready */
	void (*dialled)(void *arg, const struct qbx_err *err);
	loop_fn *drained;
	void *arg;
	struct watch *timer, *deferred;
	unsigned stall_ms;
	unsigned long long moved; /* at the last look */
};

/** fifos_init() - nothing is open; fit for fifos_close(). */
void fifos_init(struct fifos *io, struct loop *loop);

/**
 * fifos_open() - open what the client named for output; a logger is started
 * @io: of fifos_init()
 * @paths: stdin, stdout, stderr; "" for none. A file is made if need be, with its directories, and
 *         appended to.
 * Return: 0, or -1 with @err; to be closed by fifos_close() in either case.
 */
int fifos_open(struct fifos *io, struct loop *loop, const char *const paths[FIFO_COUNT],
	       struct qbx_err *err) _must_check_;

/**
 * fifos_dial() - connect each to a stream of the guest and let output flow
 * @next_number: first free stream number; moved on
 * @dialled: called once, from the loop: with NULL when all stand and loggers are ready, or with what
 *           went wrong
 * Return: 0, or -1 with @err and @dialled not called.
 */
int fifos_dial(struct fifos *io, const struct guest *g, uint32_t *next_number,
	       void (*dialled)(void *arg, const struct qbx_err *err), void *arg,
	       struct qbx_err *err) _must_check_;

/** fifos_start() - open stdin and let it flow. Return: 0, or -1 with @err. */
int fifos_start(struct fifos *io, struct qbx_err *err) _must_check_;

/** fifos_numbers() - the guest's streams, in the order of the enum; 0 for none. */
void fifos_numbers(const struct fifos *io, uint32_t numbers[FIFO_COUNT]);

/**
 * fifos_drain() - wait for the output's end; a second call only replaces @stall_ms
 * @stall_ms: give up when nothing has moved for this long
 * @drained: called once, from the loop, with the argument of fifos_dial()
 */
void fifos_drain(struct fifos *io, unsigned stall_ms, loop_fn *drained);

/** fifos_hold() - have nothing go to the guest until it is let go again. */
void fifos_hold(struct fifos *io, bool hold);

/** fifos_close_stdin() - CloseIO: end of file after what is queued, once the client closes, too. */
void fifos_close_stdin(struct fifos *io);

/** fifos_close() - end all of it without calling back. */
void fifos_close(struct fifos *io);

#endif
