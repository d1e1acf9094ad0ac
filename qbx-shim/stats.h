/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - how busy a guest says it is */
#ifndef SHIM_STATS_H
#define SHIM_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "guest.pb-c.h"

#define STATS_CPUS_MAX 64u /* as the guest's kernel is built */

/* One sample, checked. Times are totals in microseconds, by the guest's clock. */
struct stats {
	uint64_t at_us;
	uint64_t cpu_us; /* that processors have worked, all of them together */
	unsigned cpus_online, cpus_present;
	uint64_t cpu_some_us;			 /* something waited for a processor */
	uint64_t memory_some_us, memory_full_us; /* something, everything waited for memory */
	uint64_t memory_total_kib, memory_available_kib;
};

/**
 * stats_take() - what a guest answered, if it can be true
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int stats_take(struct stats *s, const Qemubox__Guest__V1__StatsResponse *m,
	       struct qbx_err *err) _must_check_;

/** stats_decode() - the same from bytes. */
int stats_decode(struct stats *s, const uint8_t *buf, size_t len, struct qbx_err *err) _must_check_;

#endif
