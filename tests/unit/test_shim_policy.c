/* SPDX-License-Identifier: Apache-2.0 */
/* What size a VM should have, over made series of samples: ramp, square wave, noise, idleness. */
#include "unit.h"

#include "qbx-shim/policy.c"

#include <stdlib.h>

#define MIB 1024u /* KiB */

/* A guest that does as it is told at once, and whose load and memory a test sets. */
struct guest {
	struct policy policy;
	struct policy_size size;
	struct stats s;
	unsigned changes;
};

static void guest_init(struct guest *g, unsigned vcpus_max, unsigned memory_max_mib)
{
	const struct policy_limits limits = { 1, vcpus_max, 512, memory_max_mib };

	memset(g, 0, sizeof(*g));
	policy_init(&g->policy, &limits);
	g->size = (struct policy_size){ 1, 512 };
	g->s = (struct stats){ .at_us = 5000000, .cpus_online = 1, .cpus_present = vcpus_max };
}

/*
 * One interval with @load thousandths of a processor's work to do and @used_mib of memory in use.
 * What exceeds the processors waits.
 */
static void pass(struct guest *g, unsigned ms, unsigned load, unsigned used_mib)
{
	unsigned most = g->size.vcpus * 1000, work = load < most ? load : most;
	uint64_t total = (uint64_t)g->size.memory_mib * MIB;
	struct policy_size want;

	g->s.at_us += ms * 1000ull;
	g->s.cpu_us += (uint64_t)work * ms;
	g->s.cpu_some_us += load > most ? ms * 1000ull : 0;
	g->s.memory_total_kib = total;
	g->s.memory_available_kib = used_mib * MIB < total ? total - used_mib * MIB : 0;
	want = policy_step(&g->policy, &g->s, &g->size);
	assert_in_range(want.vcpus, g->policy.limits.vcpus_min, g->policy.limits.vcpus_max);
	assert_in_range(want.memory_mib, g->policy.limits.memory_min_mib,
			g->policy.limits.memory_max_mib);
	g->changes += want.vcpus != g->size.vcpus || want.memory_mib != g->size.memory_mib;
	g->size = want;
	g->s.cpus_online = want.vcpus;
}

static void seconds(struct guest *g, unsigned n, unsigned load, unsigned used_mib)
{
	while (n-- > 0)
		pass(g, 1000, load, used_mib);
}

static void idle_stays_small(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 8, 4096);
	seconds(&g, 600, 5, 100);
	assert_int_equal(g.changes, 0);
	assert_int_equal(g.policy.pace_ms, POLICY_IDLE_MS);
}

static void load_is_followed_within_two_seconds(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 2, 512);
	seconds(&g, 5, 5, 100);
	seconds(&g, 2, 1000, 100);
	assert_int_equal(g.size.vcpus, 2);
	assert_int_equal(g.policy.pace_ms, POLICY_BUSY_MS);
}

/* Samples that come quickly, for memory's sake, do not make a short burst a load. */
static void a_burst_is_no_load(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 2, 4096);
	seconds(&g, 3, 5, 100);
	for (unsigned i = 0; i < 20; i++) {
		pass(&g, 250, 1000, 100);
		pass(&g, 250, 1000, 100);
		pass(&g, 250, 5, 100);
	}
	assert_int_equal(g.size.vcpus, 1);
	for (unsigned i = 0; i < 4; i++)
		pass(&g, 250, 1000, 100);
	assert_int_equal(g.size.vcpus, 2);
}

static void never_beyond_the_limit(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 3, 1024);
	seconds(&g, 100, 64000, 100000);
	assert_int_equal(g.size.vcpus, 3);
	assert_int_equal(g.size.memory_mib, 1024);
}

static void many_processors_come_quickly(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 32, 512);
	seconds(&g, 1, 5, 100);
	seconds(&g, 10, 32000, 100);
	assert_int_equal(g.size.vcpus, 32);
}

/* A host that is busy itself gives the guest a third of its time: that much work is counted. */
static void a_starved_guest_is_busy_all_the_same(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 2, 512);
	seconds(&g, 3, 5, 100);
	for (int i = 0; i < 60; i++) {
		g.s.cpu_some_us += 900000;
		pass(&g, 1000, 330, 100);
		assert_int_equal(g.size.vcpus, 2);
	}
}

static void it_comes_down_slowly(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 4, 512);
	seconds(&g, 10, 8000, 100);
	assert_int_equal(g.size.vcpus, 4);
	seconds(&g, 9, 5, 100);
	assert_int_equal(g.size.vcpus, 4);
	assert_int_equal(g.policy.pace_ms, POLICY_BUSY_MS);
	seconds(&g, 2, 5, 100);
	assert_int_equal(g.size.vcpus, 2);
	seconds(&g, 11, 5, 100);
	assert_int_equal(g.size.vcpus, 1);
}

/* Every steady load comes to rest, with room for it. */
static void steady_load_settles(void **state)
{
	(void)state;
	for (unsigned load = 0; load <= 8000; load += 50) {
		struct guest g;

		guest_init(&g, 8, 512);
		seconds(&g, 60, load, 100);
		g.changes = 0;
		seconds(&g, 600, load, 100);
		assert_int_equal(g.changes, 0);
		assert_true(g.size.vcpus * 1000 >= load);
		assert_true(g.size.vcpus <= load / 1000 + 2);
	}
}

static void a_ramp_is_followed(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 8, 512);
	for (unsigned load = 0; load < 7000; load += 100) {
		seconds(&g, 2, load, 100);
		assert_true(g.size.vcpus * 1000 >= load);
	}
	assert_true(g.changes <= 8);
	g.changes = 0;
	for (unsigned load = 7000; load > 100; load -= 100)
		seconds(&g, 2, load, 100);
	seconds(&g, 12, 0, 100);
	assert_int_equal(g.size.vcpus, 1);
	assert_true(g.changes <= 8);
}

/* Bursts that come sooner than the calm is long: up once, and there it stays. */
static void a_square_wave_does_not_flap(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 4, 512);
	for (int i = 0; i < 100; i++) {
		seconds(&g, 4, 3000, 100);
		seconds(&g, 6, 20, 100);
	}
	assert_in_range(g.size.vcpus, 3, 4);
	assert_true(g.changes <= 3);
}

static void noise_does_not_flap(void **state)
{
	struct guest g;

	(void)state;
	srand(1);
	guest_init(&g, 4, 2048);
	for (int i = 0; i < 3600; i++)
		pass(&g, 1000, (unsigned)(rand() % 800), (unsigned)(150 + rand() % 100));
	assert_int_equal(g.changes, 0);
}

static void memory_grows_before_the_limit_is_hit(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 1, 4096);
	seconds(&g, 3, 5, 100);
	for (unsigned used = 100; used < 3500; used += 60) {
		seconds(&g, 1, 200, used);
		assert_true(g.size.memory_mib > used + 60);
	}
	assert_int_equal(g.size.memory_mib % POLICY_MEMORY_STEP_MIB, 0);
}

static void memory_pressure_alone_lets_it_grow(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 1, 4096);
	seconds(&g, 3, 5, 300);
	g.s.memory_some_us += 100000;
	pass(&g, 1000, 5, 300);
	assert_int_equal(g.size.memory_mib, 640);
}

static void memory_is_given_back_slowly_and_not_taken_again(void **state)
{
	struct guest g;

	(void)state;
	guest_init(&g, 1, 4096);
	seconds(&g, 20, 5, 3000);
	assert_int_equal(g.size.memory_mib, 4096);
	seconds(&g, 29, 5, 1000);
	assert_int_equal(g.size.memory_mib, 4096);
	g.changes = 0;
	seconds(&g, 600, 5, 1000);
	assert_in_range(g.size.memory_mib, 1500, 2048);
	assert_true(g.changes <= 3);
	seconds(&g, 600, 5, 50);
	assert_int_equal(g.size.memory_mib, 512);
	g.changes = 0;
	seconds(&g, 600, 5, 50);
	assert_int_equal(g.changes, 0);
}

/* A clock that stands, runs back or leaps, and totals that fall, are a new beginning. */
static void nonsense_changes_nothing(void **state)
{
	struct policy_size want;
	struct guest g;

	(void)state;
	guest_init(&g, 8, 4096);
	seconds(&g, 3, 5, 100);
	want = policy_step(&g.policy, &g.s, &g.size);
	assert_int_equal(want.vcpus, 1);
	g.s.at_us -= 1000000;
	g.s.cpu_us += 1u << 30;
	assert_int_equal(policy_step(&g.policy, &g.s, &g.size).vcpus, 1);
	g.s.at_us += UINT64_C(1) << 40;
	g.s.cpu_us += UINT64_C(1) << 50;
	assert_int_equal(policy_step(&g.policy, &g.s, &g.size).vcpus, 1);
	g.s.at_us += 1000000;
	g.s.cpu_us = 0;
	assert_int_equal(policy_step(&g.policy, &g.s, &g.size).vcpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_stays_small),
		cmocka_unit_test(load_is_followed_within_two_seconds),
		cmocka_unit_test(a_burst_is_no_load),
		cmocka_unit_test(never_beyond_the_limit),
		cmocka_unit_test(many_processors_come_quickly),
		cmocka_unit_test(a_starved_guest_is_busy_all_the_same),
		cmocka_unit_test(it_comes_down_slowly),
		cmocka_unit_test(steady_load_settles),
		cmocka_unit_test(a_ramp_is_followed),
		cmocka_unit_test(a_square_wave_does_not_flap),
		cmocka_unit_test(noise_does_not_flap),
		cmocka_unit_test(memory_grows_before_the_limit_is_hit),
		cmocka_unit_test(memory_pressure_alone_lets_it_grow),
		cmocka_unit_test(memory_is_given_back_slowly_and_not_taken_again),
		cmocka_unit_test(nonsense_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
