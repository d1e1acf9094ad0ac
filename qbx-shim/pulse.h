/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pulse.h - do a VM's processors run now and then, and hardly, as those of an idle kernel do?
 *
 * A kernel that has hung spins, or has stopped its processors for good. One that runs a timer's work a few
 * times a second, and goes back to sleep, does neither: so much can be seen without asking it, and without
 * waking anything but us.
 */
#ifndef SHIM_PULSE_H
#define SHIM_PULSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PULSE_BUSY_PERCENT 5u /* of the time, all processors together: more is not idle */

/* What the last look has seen. All zero: there was none. */
struct pulse {
	unsigned long long at; /* io_now_us() */
	uint64_t ran_ns, turns;
};

/**
 * pulse_idles() - since the last look, have the processors of QEMU's VM run, but hardly?
 * Source: the threads of /proc/PID/task that QEMU calls "CPU …", and their schedstat: nanoseconds on a
 * processor, and how often they had one. Without such names, or that file, and at the first look: no.
 */
bool pulse_idles(struct pulse *p, pid_t qemu);

#endif
