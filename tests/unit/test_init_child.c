/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "qbx-init/child.c"
#include "qbx-init/crun.c"

/* A stand-in for crun: it leaves a child behind, and ends. */
struct scene {
	struct vm vm;
	int pid_pipe[2];
	int maker_status, left_status;
	pid_t left;
};

static void on_left_ended(void *arg, int status)
{
	struct scene *s = arg;

	s->left_status = status;
	loop_stop(s->vm.loop);
}

/* As with crun, the pid of what it left is learnt only now. */
static void on_maker_ended(void *arg, int status)
{
	struct scene *s = arg;
	struct qbx_err err = { 0 };

	s->maker_status = status;
	assert_int_equal(read(s->pid_pipe[0], &s->left, sizeof(s->left)), sizeof(s->left));
	assert_int_equal(child_watch(&s->vm, s->left, on_left_ended, s, &err), 0);
}

static pid_t make(struct scene *s)
{
	pid_t maker = fork(), left;
	siginfo_t info;

	assert_true(maker >= 0);
	if (maker > 0)
		return maker;
	left = fork();
	if (left == 0)
		_exit(7);
	waitid(P_PID, (id_t)left, &info, WEXITED | WNOWAIT);
	_exit(write(s->pid_pipe[1], &left, sizeof(left)) == sizeof(left) ? 3 : 4);
}

static void set_up(struct scene *s)
{
	struct qbx_err err = { 0 };

	*s = (struct scene){ .maker_status = -1, .left_status = -1 };
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(s->pid_pipe), 0);
	s->vm.loop = loop_new(&err);
	assert_non_null(s->vm.loop);
	assert_int_equal(child_start(&s->vm, &err), 0);
}

static void tear_down(struct scene *s)
{
	loop_free(s->vm.loop);
	close(s->pid_pipe[0]);
	close(s->pid_pipe[1]);
	assert_null(s->vm.children);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
	assert_int_equal(errno, ECHILD);
}

/* It ended before anyone knew of it, and its status is told nevertheless. */
static void what_ended_before_it_was_known(void **state)
{
	struct qbx_err err = { 0 };
	struct scene s;
	siginfo_t info;
	pid_t maker;

	(void)state;
	set_up(&s);
	maker = make(&s);
	assert_int_equal(waitid(P_PID, (id_t)maker, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(child_watch(&s.vm, maker, on_maker_ended, &s, &err), 0);
	assert_int_equal(loop_run(s.vm.loop, &err), 0);
	assert_int_equal(s.maker_status, 3);
	assert_int_equal(s.left_status, 7);
	tear_down(&s);
}

static void on_far_maker_ended(void *arg, int status)
{
	struct scene *s = arg;

	on_maker_ended(arg, status);
	child_hold(&s->vm, false);
}

/* As with an exec: what is left has a parent in between, ends, and is ours, while its maker still runs. */
static void what_ended_before_its_maker(void **state)
{
	struct qbx_err err = { 0 };
	int go[2];
	struct scene s;
	siginfo_t info;
	pid_t maker, left;
	char byte;

	(void)state;
	set_up(&s);
	assert_int_equal(pipe(go), 0);
	maker = fork();
	if (maker == 0) {
		pid_t between = fork();

		if (between == 0) {
			left = fork();
			if (left == 0)
				_exit(7);
			waitid(P_PID, (id_t)left, &info, WEXITED | WNOWAIT);
			_exit(write(s.pid_pipe[1], &left, sizeof(left)) == sizeof(left) ? 0 : 1);
		}
		waitpid(between, NULL, 0);
		_exit(read(go[0], &byte, 1) == 1 ? 3 : 4);
	}
	child_hold(&s.vm, true);
	assert_int_equal(child_watch(&s.vm, maker, on_far_maker_ended, &s, &err), 0);
	/* The loop sees the orphan end, long before the maker does. */
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
	assert_int_not_equal(info.si_pid, maker);
	raise(SIGCHLD);
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(loop_run(s.vm.loop, &err), 0);
	assert_int_equal(s.maker_status, 3);
	assert_int_equal(s.left_status, 7);
	close(go[0]);
	close(go[1]);
	tear_down(&s);
}

static void on_last_ended(void *arg, int status)
{
	struct scene *s = arg;

	s->maker_status = status;
	loop_stop(s->vm.loop);
}

/* Orphans that nobody asks for are reaped with the rest. */
static void orphans_go(void **state)
{
	struct qbx_err err = { 0 };
	struct scene s;
	siginfo_t info;
	pid_t last;

	(void)state;
	set_up(&s);
	for (int i = 0; i < 5; i++) {
		pid_t maker = make(&s);

		assert_int_equal(waitid(P_PID, (id_t)maker, &info, WEXITED | WNOWAIT), 0);
	}
	last = fork();
	if (last == 0)
		_exit(0);
	assert_int_equal(child_watch(&s.vm, last, on_last_ended, &s, &err), 0);
	assert_int_equal(loop_run(s.vm.loop, &err), 0);
	assert_int_equal(s.maker_status, 0);
	tear_down(&s);
}

static void no_child_of_ours(void **state)
{
	struct qbx_err err = { 0 };
	struct scene s;

	(void)state;
	set_up(&s);
	assert_int_equal(child_watch(&s.vm, getppid(), on_last_ended, &s, &err), -1);
	assert_int_equal(err.sys, ESRCH);
	tear_down(&s);
}

/* The first entry of a level. */
static void find_entry(const char *log, const char *level, char message[CRUN_MESSAGE_MAX])
{
	size_t len = strlen(log);

	(void)crun_log_next(&log, &len, level, message);
}

static void crun_says_why(void **state)
{
	static const char lines[] =
		"{\"msg\":\"careful\",\"level\":\"warning\"}\n"
		"{\"msg\":\"open `x`: No such file or directory\",\"level\":\"error\"}\n"
		"{\"msg\":\"later\",\"level\":\"error\"}\n";
	static const char spread[] = "{\n  \"msg\": \"two\\nlines\",\n  \"level\": \"error\"\n}\n";
	char message[CRUN_MESSAGE_MAX];

	(void)state;
	find_entry(lines, "error", message);
	assert_string_equal(message, "open `x`: No such file or directory");
	assert_int_equal(crun_errno(message), ENOENT);
	find_entry(spread, "error", message);
	assert_string_equal(message, "two lines");
	assert_int_equal(crun_errno(message), 0);
	find_entry("not JSON", "error", message);
	assert_string_equal(message, "");
	find_entry("", "error", message);
	assert_string_equal(message, "");
	find_entry(lines, "warning", message);
	assert_string_equal(message, "careful");
	assert_int_equal(crun_errno("x: Permission denied"), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ended_before_it_was_known),
		cmocka_unit_test(what_ended_before_its_maker),
		cmocka_unit_test(orphans_go),
		cmocka_unit_test(no_child_of_ours),
		cmocka_unit_test(crun_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
