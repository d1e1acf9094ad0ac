/* SPDX-License-Identifier: Apache-2.0 */
/* starved.h - how long a process was kept from running by others */
#ifndef SHIM_STARVED_H
#define SHIM_STARVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STARVED_THREADS_MAX 128u /* more are not looked at */

/* Between two looks at a process. */
struct starved {
	pid_t pid;
	unsigned long long at; /* of the last look, io_now_us() */
	size_t n;
	struct starved_thread {
		pid_t tid;
		uint64_t ran_ns, waited_ns;
	} threads[STARVED_THREADS_MAX];
};

/** starved_begin() - look for the first time. */
void starved_begin(struct starved *s, pid_t pid);

/**
 * starved_us() - for how long, since the last look, did its worst thread wait for a processor?
 * Source: /proc/PID/task/TID/schedstat, nanoseconds on a processor and on a run queue. A wait that
 * still lasts is not in there yet: a thread that is runnable (R) or waits for a disk (D), and did not
 * run, has waited.
 * A process that has gone, and a kernel without that file, give 0.
 */
uint64_t starved_us(struct starved *s);

/** starved_stopped() - was the process stopped by a signal or a debugger? State T or t, proc(5). */
bool starved_stopped(pid_t pid);

#endif
