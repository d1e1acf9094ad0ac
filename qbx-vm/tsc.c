/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tsc.c - the rate of the host's time stamp counter
 *
 * Under emulation the guest reads the host's counter. It would measure the rate against an emulated
 * timer chip, which fails on a busy host and leaves the guest with a clock that ticks in hundredths
 * of a second. So it is told: two looks at counter and clock, a few milliseconds of our own work
 * apart, give the rate to some parts in 100,000.
 */
#include <time.h>
#include <x86intrin.h>

#include "vm.h"

#define LOOKS 4 /* the one that was interrupted least counts */

void tsc_mark(struct tsc_mark *m)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < LOOKS; i++) {
		struct timespec ts;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		m->tsc = before + least / 2;
		m->ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
}

unsigned tsc_khz_since(const struct tsc_mark *m)
{
	struct tsc_mark now;

	tsc_mark(&now);
	if (now.ns <= m->ns || now.tsc <= m->tsc)
		return 0;
	return (unsigned)((double)(now.tsc - m->tsc) * 1e6 / (double)(now.ns - m->ns));
}
