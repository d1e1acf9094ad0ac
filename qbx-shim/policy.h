/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - what size a VM should have, from how busy it is
 *
 * Theory of Operation
 *
 * Processors: work is counted in processors, W of N. It is hot when W is 0.9 N or more, or something
 * waits for a processor half of the time: a guest that its host starves counts less work than it
 * has. When it has been hot for HOT seconds another processor is wanted, or half as many again as
 * there are when something waited. So load finds a processor to spare. When W has stayed below
 * 0.75 (N - 1), with next to nothing waiting, for CALM seconds, as many are wanted as the highest W
 * of that time fills to three quarters, but not less than half of N. 0.75 of N - 1 and 0.9 of the
 * number that is left lie apart, so that steady load settles.
 *
 * Memory: with less than a quarter of it available, or something waiting for memory for a
 * twentieth of the time, a quarter more is wanted; when more than half has been available for CALM
 * seconds, what would leave 0.4 of the rest available.
 *
 * It is a function of the samples and nothing else: no clock, no system call. Samples that cannot
 * follow each other begin a new series. The guest may lie in them: then it gets no more than its
 * limits, and no less.
 */
#ifndef SHIM_POLICY_H
#define SHIM_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "stats.h"

#define POLICY_CPU_HOT_US 800000u
#define POLICY_CPU_CALM_US 10000000u
#define POLICY_MEMORY_CALM_US 30000000u
#define POLICY_IDLE_MS 3000u
#define POLICY_BUSY_MS 1000u
#define POLICY_URGENT_MS 250u	    /* memory goes away as one looks */
#define POLICY_MEMORY_STEP_MIB 128u /* a memory block of Linux on x86-64 */

struct policy_limits {
	unsigned vcpus_min, vcpus_max;
	unsigned memory_min_mib, memory_max_mib; /* min is what it was started with */
};

struct policy_size {
	unsigned vcpus, memory_mib;
};

struct policy {
	struct policy_limits limits;
	bool begun; /* @last holds a sample */
	struct stats last;
	uint64_t cpu_hot_us;
	uint64_t cpu_calm_us, cpu_peak; /* how long it has been calm, and the highest W * 1000 */
	uint64_t memory_calm_us, memory_low_kib; /* and the least that was available */
	unsigned pace_ms;			 /* when to look again */
};

void policy_init(struct policy *p, const struct policy_limits *limits);

/**
 * policy_step() - take one more sample in
 * @now: size that the VM has
 * Return: the size that it should have, within the limits.
 */
struct policy_size policy_step(struct policy *p, const struct stats *sample,
			       const struct policy_size *now);

#endif
