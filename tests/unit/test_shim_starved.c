/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that others keep from running, and one that is stopped */
#include "unit.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "qbx-shim/starved.c"

/* A child of ours on the first processor that we may use: spinning, or asleep. */
static pid_t child(bool spins)
{
	pid_t pid = fork();
	cpu_set_t all, one;

	if (pid)
		return pid;
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (!spins)
		pause();
	for (;;)
		;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void two_on_one_processor_starve_each_other(void **state)
{
	pid_t a = child(true), b = child(true), idle = child(false);
	struct starved s, quiet;
	unsigned long long begin = io_now_us(), took;
	uint64_t waited, slept;

	(void)state;
	starved_begin(&s, a);
	starved_begin(&quiet, idle);
	usleep(400000);
	waited = starved_us(&s);
	slept = starved_us(&quiet);
	took = io_now_us() - begin;
	end(a);
	end(b);
	end(idle);
	/* half of the time, were they alone */
	assert_true(waited > took / 5);
	assert_true(waited <= took);
	assert_true(slept < took / 5);
}

static void who_has_gone_waits_for_nothing(void **state)
{
	pid_t a = child(false);
	struct starved s;

	(void)state;
	starved_begin(&s, a);
	end(a);
	assert_int_equal(starved_us(&s), 0);
	assert_int_equal(s.n, 0);
	assert_false(starved_stopped(a));
}

static void a_stopped_process_is_told_from_a_sleeping_one(void **state)
{
	pid_t a = child(false);
	int status;

	(void)state;
	assert_false(starved_stopped(a));
	kill(a, SIGSTOP);
	assert_int_equal(waitpid(a, &status, WUNTRACED), a);
	assert_true(starved_stopped(a));
	end(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_on_one_processor_starve_each_other),
		cmocka_unit_test(who_has_gone_waits_for_nothing),
		cmocka_unit_test(a_stopped_process_is_told_from_a_sleeping_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
