/* SPDX-License-Identifier: Apache-2.0 */
/* size.c - how large a VM a box gets, and why */
#include "size.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cleanup.h"

#define MIB (UINT64_C(1) << 20)

/*
 * What the guest needs beside its container. Measured with 6.12: 18 MiB that the kernel keeps for itself,
 * 23 MiB for init, crun and what the kernel would not go below before it reclaims; the rest is margin.
 * Each processor that there may be takes 180 KiB, rounded up to a quarter MiB.
 */
#define GUEST_MIB 64u
#define VCPUS_PER_MIB 4u
#define PAGES_PER_MAP 64u /* a page of struct page describes so many pages */
#define STEP_MIB 128u	  /* a memory block of x86-64: what is plugged in and out in one piece */
#define BOOT_PART 8u	  /* what is added later holds no kernel memory, so it is at most 7/8 */
#define SHARES_PER_CPU 1024u

static const char *const machines[] = { [MACHINE_MICROVM] = "microvm", [MACHINE_Q35] = "q35" };

const char *machine_name(enum machine machine)
{
	return machines[machine];
}

int machine_choose(const char *wanted, enum machine *machine, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		if (strcmp(wanted, machines[i]) != 0)
			continue;
		*machine = (enum machine)i;
		return 0;
	}
	return err_code(err, EX_DATAERR, "machine: \"%s\" is none of microvm, q35", wanted);
}

static void say(FILE *why, const char *what, const char *fmt, ...) _printf_(3, 4);
static void say(FILE *why, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (!why)
		return;
	fprintf(why, "%-16s", what);
	va_start(ap, fmt);
	vfprintf(why, fmt, ap);
	va_end(ap);
	fputc('\n', why);
}

static uint64_t divide_up(uint64_t n, uint64_t by)
{
	return n / by + (n % by != 0);
}

static uint64_t whole_steps(uint64_t mib)
{
	return divide_up(mib, STEP_MIB) * STEP_MIB;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t more(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- processors ---- */

/* As many as the container may use: 0 without a limit. */
static uint64_t cpu_limit(const struct limits *l, FILE *why)
{
	uint64_t quota = l->cpu_quota_us ? divide_up(l->cpu_quota_us, l->cpu_period_us) : 0;

	if (quota)
		say(why, "cpu quota", "%" PRIu64 " us in %" PRIu64 " us, rounded up: %" PRIu64,
		    l->cpu_quota_us, l->cpu_period_us, quota);
	if (l->cpuset)
		say(why, "cpuset", "%u processors", l->cpuset);
	if (!quota && !l->cpuset)
		say(why, "cpu limit", "none");
	return quota && l->cpuset ? less(quota, l->cpuset) : quota + l->cpuset;
}

void size_vcpus(const struct limits *l, struct size *size, FILE *why)
{
	uint64_t limit = cpu_limit(l, why), request = divide_up(l->cpu_shares, SHARES_PER_CPU);
	uint64_t cap =
		less(l->config.vcpus_max ? l->config.vcpus_max : l->host.cpus, SIZE_VCPUS_MAX);
	uint64_t boot = l->vcpus ? l->vcpus : limit ? limit : request ? request : 1;
	uint64_t most = l->vcpus_max ? l->vcpus_max : more(limit ? limit : l->host.cpus, l->vcpus);

	size->vcpus_max = (unsigned)less(most, cap);
	size->vcpus = (unsigned)less(boot, size->vcpus_max);
	say(why, "vcpus_max", "%u: %s, at most %" PRIu64 " (%s)", size->vcpus_max,
	    l->vcpus_max ? "the annotation"
	    : limit	 ? "the limit"
			 : "the host's processors",
	    cap, l->config.vcpus_max ? "vcpus_max of the configuration" : "the host's processors");
	say(why, "vcpus", "%u: %s, at most vcpus_max", size->vcpus,
	    l->vcpus  ? "the annotation"
	    : limit   ? "the limit"
	    : request ? "a processor for 1024 shares of the sandbox"
		      : "without a limit");
	size->cpu_quota_us = l->cpu_quota_us;
	size->cpu_period_us = l->cpu_period_us;
}

/* ---- memory ---- */

/* What the container's limit comes to with the guest around it; 0 without a limit. */
static uint64_t memory_needed(const struct limits *l, unsigned vcpus_max, FILE *why)
{
	uint64_t limit = divide_up(l->memory_bytes, MIB), map, need;
	uint64_t guest = GUEST_MIB + divide_up(vcpus_max, VCPUS_PER_MIB);

	if (!limit) {
		say(why, "memory limit", "none");
		return 0;
	}
	map = divide_up(limit + guest, PAGES_PER_MAP - 1);
	need = whole_steps(limit + guest + map);
	say(why, "memory limit", "%" PRIu64 " MiB", limit);
	say(why, "memory needed",
	    "%" PRIu64 " MiB: the limit, %" PRIu64 " for the guest, %" PRIu64
	    " for its memory map, in steps of %u",
	    need, guest, map, STEP_MIB);
	return need;
}

static int too_much(const struct limits *l, uint64_t mib, struct qbx_err *err)
{
	err_code(err, EX_UNAVAILABLE,
		 "the VM is to have %" PRIu64 " MiB of memory, but the host has %" PRIu64
		 " MiB, %" PRIu64 " of them available",
		 mib, l->host.memory_mib, l->host.available_mib);
	return err_hint(err, "qbx-vm size --explain shows what that comes from");
}

/* A q35 machine starts small and grows; a microvm has all from the start. */
static uint64_t boot_memory(const struct limits *l, uint64_t need, uint64_t most, FILE *why)
{
	uint64_t base = whole_steps(l->config.memory_mib), boot;

	if (l->memory_mib) {
		boot = whole_steps(l->memory_mib);
		say(why, "memory_mib", "%" PRIu64 ": the annotation, in steps of %u", boot,
		    STEP_MIB);
	} else if (!need) {
		boot = base;
		say(why, "memory_mib", "%" PRIu64 ": memory_mib of the configuration", boot);
	} else if (l->machine == MACHINE_MICROVM) {
		boot = need;
		say(why, "memory_mib", "%" PRIu64 ": what is needed", boot);
	} else {
		boot = less(base, need);
		say(why, "memory_mib",
		    "%" PRIu64 ": what is needed, to begin with at most "
		    "memory_mib of the configuration",
		    boot);
	}
	if (l->machine == MACHINE_Q35 && boot < whole_steps(divide_up(most, BOOT_PART))) {
		boot = whole_steps(divide_up(most, BOOT_PART));
		say(why, "", "%" PRIu64 ": an eighth of memory_max_mib at least, for the kernel",
		    boot);
	}
	return boot;
}

static int size_memory(const struct limits *l, struct size *size, FILE *why, struct qbx_err *err)
{
	uint64_t host = l->host.memory_mib, need = memory_needed(l, size->vcpus_max, why);
	uint64_t most =
		more(need, less(whole_steps(l->config.memory_max_mib), host / STEP_MIB * STEP_MIB));
	uint64_t boot;

	say(why, "host memory", "%" PRIu64 " MiB, %" PRIu64 " of them available", host,
	    l->host.available_mib);
	if (need > host)
		return too_much(l, need, err);
	boot = boot_memory(l, need, most, why);
	if (boot > host)
		return too_much(l, boot, err);
	size->memory_mib = (unsigned)boot;
	size->memory_max_mib = (unsigned)(l->machine == MACHINE_Q35 ? more(most, boot) : boot);
	if (l->machine == MACHINE_Q35)
		say(why, "memory_max_mib",
		    "%u: what is needed, or memory_max_mib of the configuration",
		    size->memory_max_mib);
	else
		say(why, "memory_max_mib", "%u: a microvm does not grow", size->memory_max_mib);
	return 0;
}

int size_make(const struct limits *l, struct size *size, FILE *why, struct qbx_err *err)
{
	say(why, "machine", "%s", machine_name(l->machine));
	size->machine = l->machine;
	size_vcpus(l, size, why);
	return size_memory(l, size, why, err);
}

unsigned size_queues(const struct size *size)
{
	return (unsigned)less(size->vcpus, SIZE_QUEUES_MAX);
}
