/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the guest's clock is to be this host's
 *
 * Theory of Operation
 *
 * A guest's clock stands still while its VM does, and drifts otherwise. Its answer to a Ping says what
 * time it has, at some moment between the question and the answer: that it is wrong is certain only as
 * far as it lies outside of the two, by CLOCK_SLACK_US or more. Then it is told to move by the difference
 * to the middle of them.
 */
#ifndef SHIM_CLOCK_H
#define SHIM_CLOCK_H

#include <stdint.h>

#include "loop.h"
#include "ttrpc.h"

#define CLOCK_SLACK_US 10000

/* When this host asked, and what it learned. All are CLOCK_REALTIME in nanoseconds. */
struct clock_reading {
	int64_t asked_ns, answered_ns, guest_ns;
};

/** clock_now_ns() - CLOCK_REALTIME. */
int64_t clock_now_ns(void);

/** clock_offset_ns() - by how much to move the guest's clock; 0 if it may be right. */
int64_t clock_offset_ns(const struct clock_reading *r);

/** clock_adjust() - have the guest move its clock if it is wrong by this reading; @done may be NULL. */
void clock_adjust(struct ttrpc_conn *control, const struct clock_reading *r, ttrpc_done_fn *done,
		  void *arg);

/**
 * clock_sync() - ask what time the guest has, and have it put right
 * @done: called once, when it is, or when it cannot be: that is a line in the log
 * Return: 0, or -1 with @err and @done not called.
 */
int clock_sync(struct ttrpc_conn *control, loop_fn *done, void *arg,
	       struct qbx_err *err) _must_check_;

#endif
