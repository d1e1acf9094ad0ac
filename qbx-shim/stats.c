/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - how busy a guest says it is: decoded, and checked against what is possible */
#include "stats.h"

#define TIME_MAX_US (UINT64_C(1) << 52) /* 142 years, of all processors together */
#define MEMORY_MAX_KIB (UINT64_C(1) << 34)

static int bad(struct qbx_err *err, const char *what, uint64_t value)
{
	return err_code(err, EX_DATAERR, "statistics of the guest: %s is %llu", what,
			(unsigned long long)value);
}

int stats_take(struct stats *s, const Qemubox__Guest__V1__StatsResponse *m, struct qbx_err *err)
{
	const struct {
		const char *what;
		uint64_t value, min, max;
	} bounds[] = {
		{ "uptime_us", m->uptime_us, 0, TIME_MAX_US },
		{ "cpu_us", m->cpu_us, 0, TIME_MAX_US },
		{ "cpus_present", m->cpus_present, 1, STATS_CPUS_MAX },
		{ "cpus_online", m->cpus_online, 1, m->cpus_present },
		{ "cpu_some_us", m->cpu_some_us, 0, TIME_MAX_US },
		{ "memory_some_us", m->memory_some_us, 0, TIME_MAX_US },
		{ "memory_full_us", m->memory_full_us, 0, TIME_MAX_US },
		{ "memory_total_kib", m->memory_total_kib, 1, MEMORY_MAX_KIB },
		{ "memory_available_kib", m->memory_available_kib, 0, m->memory_total_kib },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		if (bounds[i].value < bounds[i].min || bounds[i].value > bounds[i].max)
			return bad(err, bounds[i].what, bounds[i].value);
	*s = (struct stats){
		.at_us = m->uptime_us,
		.cpu_us = m->cpu_us,
		.cpus_online = m->cpus_online,
		.cpus_present = m->cpus_present,
		.cpu_some_us = m->cpu_some_us,
		.memory_some_us = m->memory_some_us,
		.memory_full_us = m->memory_full_us,
		.memory_total_kib = m->memory_total_kib,
		.memory_available_kib = m->memory_available_kib,
	};
	return 0;
}

int stats_decode(struct stats *s, const uint8_t *buf, size_t len, struct qbx_err *err)
{
	Qemubox__Guest__V1__StatsResponse *m =
		qemubox__guest__v1__stats_response__unpack(NULL, len, buf);
	int rc;

	if (!m)
		return err_code(err, EX_DATAERR, "statistics of the guest: no such message");
	rc = stats_take(s, m, err);
	qemubox__guest__v1__stats_response__free_unpacked(m, NULL);
	return rc;
}
