/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.c - does the guest's kernel still live? */
#include "heartbeat.h"

#include <errno.h>

#include "clock.h"
#include "guest.pb-c.h"
#include "io.h"
#include "log.h"
#include "pulse.h"
#include "starved.h"

#define BEAT_MS 500u	   /* from an answer to the next ping, or look at whether it is needed */
#define BEAT_SLOW_MS 4000u /* from an answer to the next ping for certain */
#define STEP_MS 100u	   /* in which time is counted */
#define PATIENCE_MS 800u   /* with two beats, a step and the end of QEMU, two seconds */
#define PATIENCE_SLOW_MS 10000u /* such a guest may be slow beyond what can be seen from outside */
#define DIAL_MS 60000u

struct heartbeat {
	struct heartbeat_of of;
	loop_fn *hung;
	void *arg;
	struct watch *timer; /* to the next ping, or the next step */
	struct dial *dial;
	bool pinging, dialled, paused;
	bool clock_left;	      /* somebody else puts the guest's clock right */
	bool freed;		      /* while a ping was on its way */
	unsigned turns;		      /* how often the VM has come to stand still, or gone on */
	struct heartbeat_asked asked; /* of the last ping */
	unsigned long long last;      /* io_now_us() of the last step */
	unsigned long long silent_us;
	unsigned long long heard; /* io_now_us() of the last sign of life */
	struct pulse pulse;
	struct starved qemu, helper, self;
};

static void on_beat(void *arg);

static unsigned beat_ms(const struct heartbeat_of *of)
{
	return of->slow ? BEAT_SLOW_MS : BEAT_MS;
}

static void set_timer(struct heartbeat *h, unsigned ms, loop_fn *fn)
{
	struct qbx_err err = { 0 };

	loop_remove(h->timer);
	h->timer = loop_add_timer(h->of.loop, ms, fn, h, &err);
	if (!h->timer)
		log_warn("the guest is not watched any more: %s", err.msg);
}

static void next_beat(struct heartbeat *h)
{
	h->heard = io_now_us();
	set_timer(h, beat_ms(&h->of), on_beat);
}

/* ---- counting ---- */

static void begin_count(struct heartbeat *h)
{
	h->silent_us = 0;
	h->dialled = false;
	h->last = io_now_us();
	starved_begin(&h->qemu, h->of.qemu);
	starved_begin(&h->self, getpid());
	if (h->of.helper)
		starved_begin(&h->helper, h->of.helper);
}

static void count(struct heartbeat *h)
{
	unsigned long long now = io_now_us(), step = now - h->last, starved;

	h->last = now;
	starved = starved_us(&h->qemu) + starved_us(&h->self);
	if (h->of.helper)
		starved += starved_us(&h->helper);
	if (step > 2 * STEP_MS * 1000ull)
		step = 2 * STEP_MS * 1000ull;
	h->silent_us += step > starved ? step - starved : 0;
}

/* The guest's kernel has taken a connection: it lives, however busy its PID 1 may be. */
static void on_dialled(void *arg, int fd, const struct qbx_err *err)
{
	struct heartbeat *h = arg;

	h->dial = NULL;
	if (fd < 0) {
		log_debug("heartbeat: %s", err->msg);
		return;
	}
	close(fd);
	log_info("the guest's kernel lives, but its PID 1 is slow to answer");
	begin_count(h);
}

static void dial(struct heartbeat *h)
{
	struct qbx_err err = { 0 };

	h->dialled = true;
	h->dial = guest_dial(h->of.loop, h->of.guest, GUEST_PORT_CONTROL, 0, DIAL_MS, on_dialled, h,
			     &err);
	if (!h->dial)
		log_debug("heartbeat: %s", err.msg);
}

static void on_step(void *arg)
{
	struct heartbeat *h = arg;
	unsigned long long patience_us = (h->of.slow ? PATIENCE_SLOW_MS : PATIENCE_MS) * 1000ull;

	h->timer = NULL;
	if (starved_stopped(h->of.qemu) || (h->of.helper && starved_stopped(h->of.helper)))
		begin_count(h);
	else
		count(h);
	if (h->silent_us >= patience_us) {
		h->hung(h->arg);
		return;
	}
	if (h->silent_us >= patience_us / 2 && !h->dialled && !h->dial)
		dial(h);
	set_timer(h, STEP_MS, on_step);
}

/* Nothing is looked at for an answer that comes as fast as most do. */
static void on_first_step(void *arg)
{
	struct heartbeat *h = arg;

	h->timer = NULL;
	begin_count(h);
	set_timer(h, STEP_MS, on_step);
}

/* ---- pings ---- */

/* While a VM stood still, or its clock was being put right, an answer tells nothing of the clock. */
static void check_clock(const struct heartbeat *h, const struct heartbeat_asked *asked,
			int64_t guest_ns)
{
	const struct clock_reading r = { asked->ns, clock_now_ns(), guest_ns };

	if (!h->clock_left && asked->turns == h->turns && clock_offset_ns(&r))
		clock_adjust(h->of.control, &r, NULL, NULL);
}

static void on_pong(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		    const char *message)
{
	const Qemubox__Guest__V1__PingResponse *m = (const Qemubox__Guest__V1__PingResponse *)reply;
	struct heartbeat *h = arg;

	h->pinging = false;
	if (h->freed) {
		heartbeat_free(h);
		return;
	}
	loop_remove(h->timer);
	h->timer = NULL;
	guest_dial_cancel(take_ptr(h->dial));
	if (code == TTRPC_OK)
		check_clock(h, &h->asked, m->time_ns);
	if (code == TTRPC_OK && !h->paused)
		next_beat(h);
	else if (code != TTRPC_OK && code != TTRPC_CANCELLED && code != TTRPC_UNAVAILABLE)
		log_warn("the guest is not watched any more: ping: %s", message);
}

static void ping(struct heartbeat *h)
{
	Qemubox__Guest__V1__PingRequest request = QEMUBOX__GUEST__V1__PING_REQUEST__INIT;

	h->pinging = true;
	h->asked = heartbeat_ask(h);
	set_timer(h, STEP_MS, on_first_step);
	ttrpc_request(h->of.control, GUEST_SERVICE, "Ping", &request.base, 0,
		      &qemubox__guest__v1__ping_response__descriptor, on_pong, h);
}

/* A guest that can be seen to idle need not be asked each time. */
static void on_beat(void *arg)
{
	struct heartbeat *h = arg;
	bool idles = !h->of.slow && pulse_idles(&h->pulse, h->of.qemu);

	h->timer = NULL;
	if (idles && io_now_us() - h->heard < (BEAT_SLOW_MS - BEAT_MS / 2) * 1000ull)
		set_timer(h, BEAT_MS, on_beat);
	else
		ping(h);
}

struct heartbeat_asked heartbeat_ask(const struct heartbeat *h)
{
	return (struct heartbeat_asked){ clock_now_ns(), h->turns };
}

void heartbeat_heard(struct heartbeat *h, const struct heartbeat_asked *asked, int64_t guest_ns)
{
	if (h->paused || h->pinging)
		return;
	check_clock(h, asked, guest_ns);
	next_beat(h);
}

/* ---- the whole ---- */

void heartbeat_pause(struct heartbeat *h, bool paused)
{
	if (h->paused == paused)
		return;
	h->paused = paused;
	loop_remove(h->timer);
	h->timer = NULL;
	guest_dial_cancel(take_ptr(h->dial));
	h->turns++;
	if (paused)
		return;
	if (h->pinging)
		set_timer(h, STEP_MS, on_first_step);
	else
		next_beat(h);
}

void heartbeat_leave_clock(struct heartbeat *h, bool left)
{
	h->clock_left = left;
	h->turns++;
}

struct heartbeat *heartbeat_start(const struct heartbeat_of *of, loop_fn *hung, void *arg,
				  struct qbx_err *err)
{
	struct heartbeat *h = calloc(1, sizeof(*h));

	if (!h) {
		err_sys(err, ENOMEM, "watch the guest");
		return NULL;
	}
	*h = (struct heartbeat){ .of = *of, .hung = hung, .arg = arg, .heard = io_now_us() };
	h->timer = loop_add_timer(of->loop, beat_ms(of), on_beat, h, err);
	if (h->timer)
		return h;
	free(h);
	return NULL;
}

void heartbeat_free(struct heartbeat *h)
{
	if (!h)
		return;
	loop_remove(h->timer);
	h->timer = NULL;
	guest_dial_cancel(take_ptr(h->dial));
	h->freed = true;
	if (!h->pinging)
		free(h);
}
