/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - the time of day: Guest/AdjustClock and Guest/Ping */
#include "clock.h"

#include <errno.h>
#include <sys/timex.h>

#include "guest.pb-c.h"

#define SECOND INT64_C(1000000000)

/*
 * At once, as clock_adjtime(2) does it. The kernel refuses a time before 1970, before its boot or more
 * than two centuries away, with EINVAL.
 */
void clock_adjust_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Guest__V1__AdjustClockRequest *asked =
		(const Qemubox__Guest__V1__AdjustClockRequest *)request;
	Qemubox__Guest__V1__AdjustClockResponse r = QEMUBOX__GUEST__V1__ADJUST_CLOCK_RESPONSE__INIT;
	struct timex t = { .modes = ADJ_SETOFFSET | ADJ_NANO };
	struct qbx_err err = { 0 };

	(void)arg;
	t.time.tv_sec = asked->offset_ns / SECOND;
	t.time.tv_usec = asked->offset_ns % SECOND;
	if (t.time.tv_usec < 0) { /* nanoseconds, by ADJ_NANO, and never negative */
		t.time.tv_usec += SECOND;
		t.time.tv_sec--;
	}
	if (clock_adjtime(CLOCK_REALTIME, &t) < 0) {
		err_sys(&err, errno, "move the clock by %lld ns", (long long)asked->offset_ns);
		ttrpc_fail_err(call, &err);
		return;
	}
	ttrpc_reply(call, &r.base);
}

int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

void ping_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Guest__V1__PingResponse r = QEMUBOX__GUEST__V1__PING_RESPONSE__INIT;

	(void)request;
	(void)arg;
	r.time_ns = clock_now_ns();
	ttrpc_reply(call, &r.base);
}
