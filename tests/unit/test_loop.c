/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <string.h>

#include "loop.h"
#include "proc.h"

struct seen {
	struct loop *loop;
	struct watch *a, *b;
	int count, status;
	char order[8];
};

static struct loop *new_loop(void)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);

	assert_non_null(loop);
	return loop;
}

static void run(struct loop *loop)
{
	struct qbx_err err = { 0 };

	assert_int_equal(loop_run(loop, &err), 0);
	loop_free(loop);
}

static void note_a(void *arg)
{
	struct seen *s = arg;

	strcat(s->order, "a");
}

static void note_b_and_stop(void *arg)
{
	struct seen *s = arg;

	strcat(s->order, "b");
	loop_stop(s->loop);
}

static void timers_fire_in_order(void **state)
{
	struct seen s = { .loop = new_loop() };
	struct qbx_err err = { 0 };

	(void)state;
	assert_non_null(loop_add_timer(s.loop, 30, note_b_and_stop, &s, &err));
	assert_non_null(loop_add_timer(s.loop, 1, note_a, &s, &err));
	run(s.loop);
	assert_string_equal(s.order, "ab");
}

static void deferred_runs_and_removed_does_not(void **state)
{
	struct seen s = { .loop = new_loop() };

	(void)state;
	loop_remove(loop_defer(s.loop, note_a, &s));
	assert_non_null(loop_defer(s.loop, note_b_and_stop, &s));
	run(s.loop);
	assert_string_equal(s.order, "b");
}

/* Both descriptors are ready in the same round; whichever runs first removes the other. */
static void on_a(void *arg, uint32_t events)
{
	struct seen *s = arg;

	(void)events;
	s->count++;
	loop_remove(s->b);
	loop_remove(s->a);
	loop_stop(s->loop);
}

static void on_b(void *arg, uint32_t events)
{
	on_a(arg, events);
}

static void a_removed_watch_is_never_called(void **state)
{
	struct seen s = { .loop = new_loop() };
	struct qbx_err err = { 0 };
	int p[2][2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
		assert_int_equal(write(p[i][1], "x", 1), 1);
	}
	s.a = loop_add_fd(s.loop, p[0][0], EPOLLIN, on_a, &s, &err);
	s.b = loop_add_fd(s.loop, p[1][0], EPOLLIN, on_b, &s, &err);
	run(s.loop);
	assert_int_equal(s.count, 1);
	for (int i = 0; i < 2; i++) {
		close(p[i][0]);
		close(p[i][1]);
	}
}

static void on_file(void *arg, uint32_t events)
{
	struct seen *s = arg;

	assert_true(events & EPOLLIN);
	if (++s->count == 3)
		loop_stop(s->loop);
}

static void a_regular_file_is_always_ready(void **state)
{
	struct seen s = { .loop = new_loop() };
	struct qbx_err err = { 0 };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_non_null(loop_add_fd(s.loop, fd, EPOLLIN, on_file, &s, &err));
	run(s.loop);
	assert_int_equal(s.count, 3);
	close(fd);
}

static void on_exit_status(void *arg, int status)
{
	struct seen *s = arg;

	s->status = status;
	loop_stop(s->loop);
}

static void a_child_is_reaped_with_its_status(void **state)
{
	const char *argv[] = { "sh", "-c", "kill -TERM $$", NULL };
	struct proc_spec spec = { .argv = argv, .netns = -1 };
	struct seen s = { .loop = new_loop() };
	struct qbx_err err = { 0 };
	int pidfd;
	pid_t pid;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), 0);
	assert_non_null(loop_add_child(s.loop, pidfd, on_exit_status, &s, &err));
	run(s.loop);
	assert_int_equal(s.status, 128 + SIGTERM);
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct seen *s = arg;

	s->status = (int)info->ssi_signo;
	loop_stop(s->loop);
}

static void a_signal_is_an_event(void **state)
{
	struct seen s = { .loop = new_loop() };
	struct qbx_err err = { 0 };
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	assert_non_null(loop_add_signals(s.loop, &set, on_signal, &s, &err));
	raise(SIGUSR1);
	run(s.loop);
	assert_int_equal(s.status, SIGUSR1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(deferred_runs_and_removed_does_not),
		cmocka_unit_test(a_removed_watch_is_never_called),
		cmocka_unit_test(a_regular_file_is_always_ready),
		cmocka_unit_test(a_child_is_reaped_with_its_status),
		cmocka_unit_test(a_signal_is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
