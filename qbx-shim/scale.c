/* SPDX-License-Identifier: Apache-2.0 */
/* scale.c - a VM that follows the load of its guest */
#include "scale.h"

#include <errno.h>
#include <string.h>

#include "heartbeat.h"
#include "io.h"
#include "log.h"

#define ASK_MS 5000u
#define RETRY_FIRST_MS 10000u
#define RETRY_MAX_MS 300000u

/* A size that somebody waits for. */
struct ask {
	struct ask *next;
	json_t *doc;
	scale_done_fn *done;
	void *arg;
};

struct scale {
	struct sandbox *sandbox;
	struct policy policy;
	struct policy_size size;
	struct watch *timer;
	struct heartbeat_asked at; /* the last sample */
	bool told;		   /* the guest has been asked once, and so knows what may come */
	bool resizing;
	struct ask *asks;	      /* the first one is being done, if any is */
	bool asked;		      /* the resize that runs is for it */
	unsigned retry_ms;	      /* 0: the last resize was well */
	unsigned long long not_until; /* io_now_us() */
	struct qbx_err said;	      /* the failure that the log has */
};

static unsigned number(const struct sandbox *s, const char *key, unsigned fallback)
{
	json_t *vm = json_object_get(s->box.doc, "vm");
	json_int_t n = json_integer_value(json_object_get(vm, key));

	return n > 0 && n <= 1 << 20 ? (unsigned)n : fallback;
}

static bool can_scale(const struct policy_limits *l)
{
	return l->vcpus_min < l->vcpus_max || l->memory_min_mib < l->memory_max_mib;
}

static void back_off(struct scale *sc, const struct qbx_err *err)
{
	if (strcmp(sc->said.msg, err->msg) != 0)
		log_warn("%s: %s: %s", sc->sandbox->box.key, err->stage, err->msg);
	sc->said = *err;
	sc->retry_ms = sc->retry_ms ? sc->retry_ms * 2 : RETRY_FIRST_MS;
	if (sc->retry_ms > RETRY_MAX_MS)
		sc->retry_ms = RETRY_MAX_MS;
	sc->not_until = io_now_us() + sc->retry_ms * 1000ull;
}

/* ---- what was asked for ---- */

static void end_ask(struct scale *sc, const struct qbx_err *err)
{
	struct ask *a = sc->asks;

	sc->asks = a->next;
	a->done(a->arg, err);
	json_decref(a->doc);
	free(a);
}

static void serve_asks(struct scale *sc)
{
	struct qbx_err err = { 0 };

	while (sc->asks && !sc->resizing) {
		if (sandbox_resize(sc->sandbox, NULL, sc->asks->doc, &err) < 0) {
			end_ask(sc, &err);
			continue;
		}
		sc->resizing = sc->asked = true;
	}
}

int scale_ask(struct scale *sc, json_t *doc, scale_done_fn *done, void *arg, struct qbx_err *err)
{
	struct ask **at = &sc->asks, *a = malloc(sizeof(*a));

	if (!a) {
		json_decref(doc);
		return err_sys(err, ENOMEM, "ask for another size");
	}
	*a = (struct ask){ .doc = doc, .done = done, .arg = arg };
	while (*at)
		at = &(*at)->next;
	*at = a;
	serve_asks(sc);
	return 0;
}

/* ---- the act ---- */

static void resize(struct scale *sc, const char *what, unsigned n)
{
	struct qbx_err err = { 0 };
	char option[40];

	snprintf(option, sizeof(option), "--%s=%u", what, n);
	log_debug("%s: resize %s", sc->sandbox->box.key, option);
	if (sandbox_resize(sc->sandbox, option, sc->sandbox->box.doc, &err) < 0)
		back_off(sc, &err);
	else
		sc->resizing = true;
}

static void act(struct scale *sc, const struct policy_size *want)
{
	if (sc->resizing || io_now_us() < sc->not_until)
		return;
	if (want->vcpus != sc->size.vcpus)
		resize(sc, "vcpus", want->vcpus);
	else if (want->memory_mib != sc->size.memory_mib)
		resize(sc, "memory-mib", want->memory_mib);
}

/* What was asked for is the least from now on. */
static void keep(struct scale *sc)
{
	struct policy_limits *l = &sc->policy.limits;

	sc->size.vcpus = number(sc->sandbox, "vcpus", sc->size.vcpus);
	if (sc->size.vcpus > l->vcpus_min)
		l->vcpus_min = sc->size.vcpus < l->vcpus_max ? sc->size.vcpus : l->vcpus_max;
}

void scale_resized(struct scale *sc, const struct qbx_err *err)
{
	sc->resizing = false;
	sc->size.memory_mib = number(sc->sandbox, "memory_mib", sc->size.memory_mib);
	if (sc->asked) {
		sc->asked = false;
		if (!err)
			keep(sc);
		end_ask(sc, err);
	} else if (err) {
		back_off(sc, err);
	} else {
		sc->retry_ms = 0;
		sc->said.msg[0] = '\0';
	}
	serve_asks(sc);
}

/* ---- samples ---- */

static void on_timer(void *arg);

static void look_again(struct scale *sc, unsigned ms)
{
	struct qbx_err err = { 0 };

	if (!can_scale(&sc->policy.limits))
		return;
	sc->timer = loop_add_timer(sc->sandbox->shim->loop, ms, on_timer, sc, &err);
	if (!sc->timer)
		log_error("%s: it keeps its size: %s", sc->sandbox->box.key, err.msg);
}

static void take_sample(struct scale *sc, const Qemubox__Guest__V1__StatsResponse *m)
{
	struct policy_size want;
	struct qbx_err err = { 0 };
	struct stats s;

	if (sc->sandbox->heartbeat)
		heartbeat_heard(sc->sandbox->heartbeat, &sc->at, m->time_ns);
	if (stats_take(&s, m, &err) < 0) {
		log_debug("%s: %s", sc->sandbox->box.key, err.msg);
	} else if (!sc->told) {
		sc->told = true;
	} else {
		sc->size.vcpus = s.cpus_online;
		want = policy_step(&sc->policy, &s, &sc->size);
		act(sc, &want);
	}
}

static void on_sample(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct scale *sc = arg;

	if (code == TTRPC_CANCELLED || code == TTRPC_UNAVAILABLE)
		return; /* the VM goes, and we with it */
	if (code == TTRPC_OK)
		take_sample(sc, (const Qemubox__Guest__V1__StatsResponse *)reply);
	else
		log_debug("%s: statistics of the guest: %s", sc->sandbox->box.key, message);
	look_again(sc, sc->policy.pace_ms);
}

static void on_timer(void *arg)
{
	Qemubox__Guest__V1__StatsRequest request = QEMUBOX__GUEST__V1__STATS_REQUEST__INIT;
	struct scale *sc = arg;

	sc->timer = NULL;
	request.memory_grows = sc->size.memory_mib < sc->policy.limits.memory_max_mib;
	if (sc->sandbox->paused) {
		look_again(sc, POLICY_IDLE_MS);
		return;
	}
	if (!sc->sandbox->control)
		return;
	if (sc->sandbox->heartbeat)
		sc->at = heartbeat_ask(sc->sandbox->heartbeat);
	ttrpc_request(sc->sandbox->control, GUEST_SERVICE, "Stats", &request.base, ASK_MS,
		      &qemubox__guest__v1__stats_response__descriptor, on_sample, sc);
}

/* ---- the whole ---- */

struct scale *scale_new(struct sandbox *s, struct qbx_err *err)
{
	struct scale *sc = calloc(1, sizeof(*sc));
	struct policy_limits l;

	if (!sc) {
		err_sys(err, ENOMEM, "follow the guest's load");
		return NULL;
	}
	l.vcpus_min = number(s, "vcpus", 1);
	l.vcpus_max = number(s, "vcpus_max", l.vcpus_min);
	l.memory_min_mib = number(s, "memory_mib", 1);
	l.memory_max_mib = number(s, "memory_max_mib", l.memory_min_mib);
	sc->sandbox = s;
	sc->size = (struct policy_size){ l.vcpus_min, l.memory_min_mib };
	policy_init(&sc->policy, &l);
	/* A guest whose memory can grow has to know before there is a container. */
	if (l.memory_max_mib > l.memory_min_mib)
		on_timer(sc);
	else
		look_again(sc, POLICY_BUSY_MS);
	return sc;
}

void scale_free(struct scale *sc)
{
	static const struct qbx_err gone = { .code = EX_TEMPFAIL,
					     .stage = "qbx-shim",
					     .msg = "the VM goes" };

	if (!sc)
		return;
	while (sc->asks)
		end_ask(sc, &gone);
	loop_remove(sc->timer);
	free(sc);
}
