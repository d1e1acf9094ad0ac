/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - what size a VM should have, from how busy it is */
#include "policy.h"

#include <string.h>

#define INTERVAL_MIN_US 200000u	  /* less says nothing: the guest counts in ticks */
#define INTERVAL_MAX_US 60000000u /* more is a guest that stood still */

/* What one interval showed, in thousandths. */
struct rates {
	uint64_t us;
	uint64_t work;		  /* of one processor */
	uint64_t waited, starved; /* of the time: for a processor, for memory */
};

static unsigned clamp(unsigned n, unsigned min, unsigned max)
{
	return n < min ? min : n > max ? max : n;
}

static void begin(struct policy *p, const struct stats *sample)
{
	p->begun = true;
	p->last = *sample;
	p->cpu_hot_us = p->cpu_calm_us = p->memory_calm_us = 0;
	p->pace_ms = POLICY_BUSY_MS;
}

void policy_init(struct policy *p, const struct policy_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->limits = *limits;
	p->pace_ms = POLICY_BUSY_MS;
}

/* Totals never fall, and time passes. */
static bool follows(const struct stats *s, const struct stats *last)
{
	return s->at_us > last->at_us && s->at_us - last->at_us <= INTERVAL_MAX_US &&
	       s->cpu_us >= last->cpu_us && s->cpu_some_us >= last->cpu_some_us &&
	       s->memory_some_us >= last->memory_some_us;
}

static struct rates rates_of(const struct stats *s, const struct stats *last)
{
	uint64_t us = s->at_us - last->at_us;

	return (struct rates){
		.us = us,
		.work = (s->cpu_us - last->cpu_us) * 1000 / us,
		.waited = (s->cpu_some_us - last->cpu_some_us) * 1000 / us,
		.starved = (s->memory_some_us - last->memory_some_us) * 1000 / us,
	};
}

/* ---- processors ---- */

static unsigned fewer_cpus(struct policy *p, unsigned n)
{
	unsigned filled = (unsigned)((p->cpu_peak + 749) / 750);

	p->cpu_calm_us = 0;
	if (filled >= n)
		filled = n - 1;
	return filled > n / 2 ? filled : n / 2;
}

static unsigned more_cpus(struct policy *p, const struct rates *r, unsigned n)
{
	p->cpu_calm_us = 0;
	p->cpu_hot_us += r->us;
	if (p->cpu_hot_us < POLICY_CPU_HOT_US)
		return n;
	p->cpu_hot_us = 0;
	return n + (r->waited >= 500 && n > 1 ? n / 2 : 1);
}

static unsigned cpus(struct policy *p, const struct rates *r, unsigned n)
{
	if (r->work >= 900ull * n || r->waited >= 500)
		return more_cpus(p, r, n);
	p->cpu_hot_us = 0;
	if (n <= p->limits.vcpus_min || r->work >= 750ull * (n - 1) || r->waited >= 100) {
		p->cpu_calm_us = 0;
		return n;
	}
	if (p->cpu_calm_us == 0 || r->work > p->cpu_peak)
		p->cpu_peak = r->work;
	p->cpu_calm_us += r->us;
	return p->cpu_calm_us < POLICY_CPU_CALM_US ? n : fewer_cpus(p, n);
}

/* ---- memory ---- */

static unsigned step_up(unsigned mib)
{
	unsigned more = mib / 4;

	more += POLICY_MEMORY_STEP_MIB - 1;
	return mib + more - more % POLICY_MEMORY_STEP_MIB;
}

/*
 * What can go so that four tenths of the rest are available: (low - x) = 0.4 (total - x). Growth
 * starts at a quarter, which is far enough from that.
 */
static unsigned step_down(const struct policy *p, uint64_t total_kib, unsigned mib)
{
	uint64_t spare = p->memory_low_kib * 10 > total_kib * 4
				 ? (p->memory_low_kib * 10 - total_kib * 4) / 6 / 1024
				 : 0;

	spare -= spare % POLICY_MEMORY_STEP_MIB;
	return spare < mib ? mib - (unsigned)spare : 0;
}

static unsigned memory(struct policy *p, const struct rates *r, const struct stats *s, unsigned mib)
{
	uint64_t total = s->memory_total_kib, available = s->memory_available_kib;

	if (available < total / 4 || r->starved >= 50) {
		p->memory_calm_us = 0;
		return step_up(mib);
	}
	if (mib <= p->limits.memory_min_mib || available < total / 2) {
		p->memory_calm_us = 0;
		return mib;
	}
	if (p->memory_calm_us == 0 || available < p->memory_low_kib)
		p->memory_low_kib = available;
	p->memory_calm_us += r->us;
	if (p->memory_calm_us < POLICY_MEMORY_CALM_US)
		return mib;
	p->memory_calm_us = 0;
	return step_down(p, total, mib);
}

/* How soon the next sample should come. */
static unsigned pace(const struct policy *p, const struct rates *r, const struct stats *s,
		     const struct policy_size *now)
{
	bool can_grow = now->memory_mib < p->limits.memory_max_mib;
	uint64_t before = p->last.memory_available_kib;

	if (can_grow && s->memory_available_kib + s->memory_total_kib / 50 < before)
		return POLICY_URGENT_MS;
	if (r->work >= 500ull * now->vcpus || r->waited >= 250 || p->cpu_calm_us > 0 ||
	    (can_grow && r->starved > 0))
		return POLICY_BUSY_MS;
	return POLICY_IDLE_MS;
}

struct policy_size policy_step(struct policy *p, const struct stats *s,
			       const struct policy_size *now)
{
	const struct policy_limits *l = &p->limits;
	struct policy_size want = *now;
	struct rates r;

	if (!p->begun || !follows(s, &p->last)) {
		begin(p, s);
	} else if (s->at_us - p->last.at_us >= INTERVAL_MIN_US) {
		r = rates_of(s, &p->last);
		want.vcpus = cpus(p, &r, now->vcpus);
		want.memory_mib = memory(p, &r, s, now->memory_mib);
		p->pace_ms = pace(p, &r, s, now);
		p->last = *s;
	}
	want.vcpus = clamp(want.vcpus, l->vcpus_min, l->vcpus_max);
	want.memory_mib = clamp(want.memory_mib, l->memory_min_mib, l->memory_max_mib);
	return want;
}
