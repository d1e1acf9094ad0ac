/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a cgroup, as this kernel writes them, as metrics. */
#include "unit.h"

#include "qbx-init/field.c"
#include "qbx-init/metrics.c"

static void numbers_and_limits(void **state)
{
	struct metrics m;

	(void)state;
	metrics_init(&m);
	metrics_decode(&m, "pids.current", "3\n");
	metrics_decode(&m, "pids.max", "max\n");
	metrics_decode(&m, "memory.current", "4096\n");
	metrics_decode(&m, "memory.max", "max\n");
	metrics_decode(&m, "memory.swap.max", "0\n");
	metrics_decode(&m, "memory.peak", "8192\n");
	metrics_decode(&m, "memory.nonsense", "7\n");
	assert_int_equal(m.pids.current, 3);
	assert_int_equal(m.pids.limit, 0);
	assert_int_equal(m.memory.usage, 4096);
	assert_true(m.memory.usage_limit == UINT64_MAX);
	assert_int_equal(m.memory.swap_limit, 0);
	assert_int_equal(m.memory.max_usage, 8192);
	metrics_decode(&m, "pids.max", "77\n");
	metrics_decode(&m, "memory.max", "1048576\n");
	assert_int_equal(m.pids.limit, 77);
	assert_int_equal(m.memory.usage_limit, 1048576);
}

/* No name is mistaken for one that it begins with. */
static void lines_by_name(void **state)
{
	struct metrics m;

	(void)state;
	metrics_init(&m);
	metrics_decode(&m, "memory.stat",
		       "anon_thp 9\nanon 1\nfile_mapped 2\nfile 3\nslab_reclaimable 4\nslab 5\n"
		       "usage 99\nthp_collapse_alloc 6\n");
	assert_int_equal(m.memory.anon, 1);
	assert_int_equal(m.memory.anon_thp, 9);
	assert_int_equal(m.memory.file, 3);
	assert_int_equal(m.memory.file_mapped, 2);
	assert_int_equal(m.memory.slab, 5);
	assert_int_equal(m.memory.slab_reclaimable, 4);
	assert_int_equal(m.memory.thp_collapse_alloc, 6);
	assert_int_equal(m.memory.usage, 0);
	metrics_decode(&m, "cpu.stat",
		       "usage_usec 30\nuser_usec 20\nsystem_usec 10\n"
		       "nr_periods 4\nnr_throttled 2\nthrottled_usec 5\n");
	assert_int_equal(m.cpu.usage_usec, 30);
	assert_int_equal(m.cpu.user_usec, 20);
	assert_int_equal(m.cpu.system_usec, 10);
	assert_int_equal(m.cpu.nr_throttled, 2);
	metrics_decode(&m, "memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n");
	assert_int_equal(m.memory_events.oom, 3);
	assert_int_equal(m.memory_events.oom_kill, 4);
}

static void disks(void **state)
{
	struct metrics m;

	(void)state;
	metrics_init(&m);
	metrics_decode(&m, "io.stat",
		       "254:16 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n254:0\n"
		       "nonsense\n8:1 wios=9\n");
	assert_int_equal(m.io.n_usage, 3);
	assert_int_equal(m.list[0]->major, 254);
	assert_int_equal(m.list[0]->minor, 16);
	assert_int_equal(m.list[0]->rbytes, 4096);
	assert_int_equal(m.list[0]->wbytes, 512);
	assert_int_equal(m.list[0]->rios, 2);
	assert_int_equal(m.list[0]->wios, 1);
	assert_int_equal(m.list[1]->rbytes, 0);
	assert_int_equal(m.list[2]->wios, 9);
	metrics_init(&m);
	metrics_decode(&m, "io.stat", "");
	assert_int_equal(m.io.n_usage, 0);
}

static void more_disks_than_are_told_of(void **state)
{
	char text[METRICS_DISKS_MAX * 2 * 8];
	struct metrics m;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < METRICS_DISKS_MAX * 2; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "8:%u\n", i);
	metrics_init(&m);
	metrics_decode(&m, "io.stat", text);
	assert_int_equal(m.io.n_usage, METRICS_DISKS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_limits),
		cmocka_unit_test(lines_by_name),
		cmocka_unit_test(disks),
		cmocka_unit_test(more_disks_than_are_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
