/* SPDX-License-Identifier: Apache-2.0 */
/* Processors of a VM that idle, that spin, that have stopped for good, and threads that are none */
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "qbx-shim/pulse.c"

enum does { NAPS, SPINS, STANDS };

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(1);
}

/* A process of one thread of that name, which begins to do that before this returns. */
static pid_t child(const char *name, enum does does)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	int p[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		tell(p[1]);
		for (;;)
			if (does == NAPS)
				nanosleep(&nap, NULL);
			else if (does == STANDS)
				pause();
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	return pid;
}

static bool idles(const char *name, enum does does)
{
	pid_t pid = child(name, does);
	struct pulse p = { 0 };
	bool first, second;

	usleep(20000); /* until it stands */
	first = pulse_idles(&p, pid);
	usleep(300000);
	second = pulse_idles(&p, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(first); /* nothing is known yet */
	return second;
}

static void one_that_naps_idles(void **state)
{
	(void)state;
	assert_true(idles("CPU 0/KVM", NAPS));
}

static void one_that_spins_does_not(void **state)
{
	(void)state;
	assert_false(idles("CPU 1/KVM", SPINS));
}

static void one_that_has_stopped_for_good_does_not(void **state)
{
	(void)state;
	assert_false(idles("CPU 0/KVM", STANDS));
}

static void other_threads_and_no_process_tell_nothing(void **state)
{
	struct pulse p = { 0 };
	pid_t gone = child("CPU 0/KVM", STANDS);

	(void)state;
	assert_false(idles("call_rcu", NAPS));
	kill(gone, SIGKILL);
	waitpid(gone, NULL, 0);
	assert_false(pulse_idles(&p, gone));
	assert_false(pulse_idles(&p, gone));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_naps_idles),
		cmocka_unit_test(one_that_spins_does_not),
		cmocka_unit_test(one_that_has_stopped_for_good_does_not),
		cmocka_unit_test(other_threads_and_no_process_tell_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
