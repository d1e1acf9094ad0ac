/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - the guest's clock is to be this host's */
#include "clock.h"

#include <errno.h>
#include <time.h>

#include "guest.h"
#include "guest.pb-c.h"
#include "log.h"

#define SYNC_MS 5000u /* for the guest to answer, each time */

int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t clock_offset_ns(const struct clock_reading *r)
{
	int64_t half = (r->answered_ns - r->asked_ns) / 2, offset;

	/* Neither a guest that says anything, nor a host's clock that was set meanwhile. */
	if (r->guest_ns <= 0 || half < 0 ||
	    __builtin_sub_overflow(r->asked_ns + half, r->guest_ns, &offset))
		return 0;
	if (offset <= half + CLOCK_SLACK_US * 1000 && offset >= -half - CLOCK_SLACK_US * 1000)
		return 0;
	return offset;
}

void clock_adjust(struct ttrpc_conn *control, const struct clock_reading *r, ttrpc_done_fn *done,
		  void *arg)
{
	Qemubox__Guest__V1__AdjustClockRequest m = QEMUBOX__GUEST__V1__ADJUST_CLOCK_REQUEST__INIT;

	m.offset_ns = clock_offset_ns(r);
	log_debug("the guest's clock is moved by %lld us", (long long)(m.offset_ns / 1000));
	ttrpc_request(control, GUEST_SERVICE, "AdjustClock", &m.base, SYNC_MS,
		      &qemubox__guest__v1__adjust_clock_response__descriptor, done, arg);
}

struct sync {
	struct ttrpc_conn *control;
	int64_t asked_ns;
	loop_fn *done;
	void *arg;
};

static void over(struct sync *s, enum ttrpc_code code, const char *message)
{
	loop_fn *done = s->done;
	void *arg = s->arg;

	if (code != TTRPC_OK && code != TTRPC_CANCELLED)
		log_warn("the guest's clock may be wrong: %s", message);
	free(s);
	done(arg);
}

static void on_adjusted(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			const char *message)
{
	(void)reply;
	over(arg, code, message);
}

static void on_pong(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		    const char *message)
{
	const Qemubox__Guest__V1__PingResponse *m = (const Qemubox__Guest__V1__PingResponse *)reply;
	struct sync *s = arg;
	struct clock_reading r = { .asked_ns = s->asked_ns, .answered_ns = clock_now_ns() };

	if (code == TTRPC_OK)
		r.guest_ns = m->time_ns;
	if (clock_offset_ns(&r))
		clock_adjust(s->control, &r, on_adjusted, s);
	else
		over(s, code, message);
}

int clock_sync(struct ttrpc_conn *control, loop_fn *done, void *arg, struct qbx_err *err)
{
	Qemubox__Guest__V1__PingRequest m = QEMUBOX__GUEST__V1__PING_REQUEST__INIT;
	struct sync *s = malloc(sizeof(*s));

	if (!s)
		return err_sys(err, ENOMEM, "put the guest's clock right");
	*s = (struct sync){ control, clock_now_ns(), done, arg };
	ttrpc_request(control, GUEST_SERVICE, "Ping", &m.base, SYNC_MS,
		      &qemubox__guest__v1__ping_response__descriptor, on_pong, s);
	return 0;
}
