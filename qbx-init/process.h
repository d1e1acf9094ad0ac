/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - one process that the host knows: its stdio, its end, and who waits for that */
#ifndef QBX_INIT_PROCESS_H
#define QBX_INIT_PROCESS_H

#include "init.h"
#include "stream.h"

/*
 * The end of a process is told when it has ended, when what it wrote has reached the host, and when
 * nobody holds it back. A host that does not read may delay it by DRAIN_MS, not more, and neither may
 * a process in the background that keeps its output open.
 *
 * With a terminal the first two streams lead to its master. The end of the first hangs it up.
 */
struct process {
	struct vm *vm;
	pid_t pid; /* 0: not yet known */
	bool ended, told, held;
	bool late;  /* the host did not read in time */
	int status; /* as proc_exit_status() gives it */
	struct timespec ended_at;
	char *io[3];		   /* as the host named them */
	struct stream *streams[3]; /* NULL: none, not yet begun, or over */
	int pipes[3], socks[3];	   /* what process_begin_io() makes streams of, or -1 */
	struct watch *drain;
	/* Its terminal, if it has one: where crun sends it, and from process_begin_io() on its master. */
	bool terminal;
	int listener, console;
	struct watch *sink;	/* when nobody wants its output */
	uint16_t width, height; /* wanted; 0 by 0: not said */
	struct waiter *waiters;
	loop_fn *on_end; /* called when it has ended, before that is told */
	void *arg;
};

/**
 * process_init() - an empty process; process_free() takes back all that it gets later
 * @on_end: called once with @arg, from the loop, when it has ended
 */
void process_init(struct process *p, struct vm *vm, loop_fn *on_end, void *arg);
void process_free(struct process *p);

/**
 * process_open_io() - connect its stdio to the streams that the host dialled
 * @names: "stream:N" or "" for stdin, stdout and stderr; kept as copies
 * @console_dir: where crun finds TERMINAL_SOCKET to send a terminal to; NULL for a process without
 * @fds: set to what the process is to have as 0, 1 and 2: the caller's, or -1 for /dev/null
 */
int process_open_io(struct process *p, const char *const names[3], const char *console_dir,
		    int fds[3], struct qbx_err *err) _must_check_;

/**
 * process_begin_io() - let the bytes flow
 * Not before the process stands: until then the pipes are those of the program that makes it, whose
 * complaints belong into an error and not into the output of the container.
 */
int process_begin_io(struct process *p, struct qbx_err *err) _must_check_;

/**
 * process_resize() - its terminal has another size, now or as soon as it has one
 * Without a terminal, or when that has been hung up, nothing happens.
 */
int process_resize(struct process *p, uint32_t width, uint32_t height,
		   struct qbx_err *err) _must_check_;

/** process_watch() - it runs, as @pid, a child of ours */
int process_watch(struct process *p, pid_t pid, struct qbx_err *err) _must_check_;

/** process_hold() - hold the telling of its end back, or let it go */
void process_hold(struct process *p, bool hold);

/** process_wait() - answer @call, a Wait, when its end is told */
void process_wait(struct process *p, struct ttrpc_call *call);

/** stream_number() - N of "stream:N". Return: 0, or -1 when @name is anything else. */
int stream_number(const char *name, uint32_t *number);

#endif
