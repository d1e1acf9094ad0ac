/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "proc.h"

static int run(const char *script, const void *in, size_t in_len, size_t max, int timeout_ms,
	       struct proc_output *o, struct qbx_err *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct proc_spec spec = { .argv = argv, .netns = -1 };

	memset(err, 0, sizeof(*err));
	return proc_run(&spec, in, in_len, max, timeout_ms, o, err);
}

static void streams_and_status_come_back(void **state)
{
	_cleanup_(proc_output_free) struct proc_output o;
	struct qbx_err err;

	(void)state;
	assert_int_equal(run("cat; echo oops >&2; exit 7", "a\0b", 3, 100, -1, &o, &err), 0);
	assert_int_equal(o.status, 7);
	assert_int_equal(o.out_len, 3);
	assert_memory_equal(o.out, "a\0b", 4);
	assert_string_equal(o.err, "oops\n");
}

static void input_larger_than_a_pipe_passes(void **state)
{
	_cleanup_(proc_output_free) struct proc_output o;
	_cleanup_free_ char *big = malloc(1 << 20);
	struct qbx_err err;

	(void)state;
	memset(big, 'x', 1 << 20);
	assert_int_equal(run("cat", big, 1 << 20, 1 << 20, -1, &o, &err), 0);
	assert_int_equal(o.out_len, 1 << 20);
}

static void input_that_nobody_reads_is_no_error(void **state)
{
	_cleanup_(proc_output_free) struct proc_output o;
	_cleanup_free_ char *big = calloc(1, 1 << 20);
	struct qbx_err err;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run("exit 3", big, 1 << 20, 100, -1, &o, &err), 0);
	assert_int_equal(o.status, 3);
}

static void too_much_output_ends_it(void **state)
{
	struct proc_output o;
	struct qbx_err err;

	(void)state;
	assert_int_equal(run("exec yes", NULL, 0, 10000, -1, &o, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	assert_null(o.out);
}

static void a_hung_command_meets_its_deadline(void **state)
{
	struct proc_output o;
	struct qbx_err err;

	(void)state;
	assert_int_equal(run("exec tail -f /dev/null", NULL, 0, 100, 50, &o, &err), -1);
	assert_int_equal(err.sys, ETIMEDOUT);
}

static void a_program_may_be_called_otherwise(void **state)
{
	const char *argv[] = { "its name", "-c", "echo \"$0\"", NULL };
	struct proc_spec spec = { .program = "/bin/sh", .argv = argv, .netns = -1 };
	_cleanup_(proc_output_free) struct proc_output o;
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(proc_run(&spec, NULL, 0, 100, -1, &o, &err), 0);
	assert_string_equal(o.out, "its name\n");
	proc_output_free(&o);
	spec.program = "/nonexistent/program";
	assert_int_equal(proc_run(&spec, NULL, 0, 100, -1, &o, &err), -1);
	assert_non_null(strstr(err.msg, spec.program));
}

static void a_missing_program_is_told_at_once(void **state)
{
	const char *argv[] = { "/nonexistent/program", NULL };
	struct proc_spec spec = { .argv = argv, .netns = -1 };
	struct qbx_err err = { 0 };
	int pidfd;
	pid_t pid;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left behind */
}

static void descriptors_swap_without_loss(void **state)
{
	const char *argv[] = { "sh", "-c", "echo to3 >&3; echo to4 >&4", NULL };
	int a[2], b[2], pidfd;
	struct qbx_err err = { 0 };
	char text[16] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	/* Whatever numbers the pipes have, each child descriptor must get its own. */
	struct proc_fd fds[] = { { a[1], 4 }, { b[1], 3 } };
	struct proc_spec spec = { .argv = argv, .fds = fds, .nfds = 2, .netns = -1 };

	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), 0);
	assert_int_equal(proc_reap(pidfd), 0);
	assert_int_equal(read(a[0], text, 4), 4);
	assert_memory_equal(text, "to4\n", 4);
	assert_int_equal(read(b[0], text, 4), 4);
	assert_memory_equal(text, "to3\n", 4);
	close(pidfd);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void identity_tells_a_recycled_pid(void **state)
{
	struct proc_id self, wrong;
	struct qbx_err err = { 0 };
	json_t *j;
	int fd;

	(void)state;
	assert_int_equal(proc_identify(getpid(), &self), 0);
	fd = proc_open(&self);
	assert_true(fd >= 0);
	close(fd);
	wrong = self;
	wrong.start++;
	assert_int_equal(proc_open(&wrong), -1);
	assert_int_equal(errno, ESRCH);
	j = proc_to_json(&self);
	assert_int_equal(proc_from_json(j, &wrong, &err), 0);
	assert_memory_equal(&self, &wrong, sizeof(self));
	json_decref(j);
	j = json_pack("{s:i, s:i}", "pid", 1, "start", 0);
	assert_int_equal(proc_from_json(j, &wrong, &err), -1); /* never PID 1 */
	json_decref(j);
}

/* Note that the child exists, and that it has not run its program yet. */
static int note_birth(void *arg, pid_t pid, struct qbx_err *err)
{
	pid_t *seen = arg;
	char path[40], exe[64] = "", own[64] = "";

	*seen = pid;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	assert_true(readlink(path, exe, sizeof(exe) - 1) > 0);
	assert_true(readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
	assert_string_equal(exe, own);
	return access("forbidden", F_OK) ? 0 : err_code(err, EX_DATAERR, "forbidden");
}

static void a_child_waits_until_its_birth_is_noted(void **state)
{
	const char *argv[] = { "true", NULL };
	pid_t seen = 0, pid;
	struct proc_spec spec = {
		.argv = argv, .netns = -1, .born = note_birth, .born_arg = &seen
	};
	struct qbx_err err = { 0 };
	char dir[] = "/tmp/qbx-proc-XXXXXX";
	int pidfd;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), 0);
	assert_int_equal(seen, pid);
	assert_int_equal(proc_reap(pidfd), 0);
	close(pidfd);
	/* A birth that cannot be noted is none. */
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	close(open("forbidden", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), -1);
	assert_string_equal(err.msg, "forbidden");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	unlink("forbidden");
	assert_int_equal(chdir("/"), 0);
	rmdir(dir);
}

/* Descriptors that this process has itself been left without asking. */
static void no_other_descriptor_reaches_the_child(void **state)
{
	_cleanup_(proc_output_free) struct proc_output o;
	_cleanup_close_ int stray = open("/dev/zero", O_RDONLY);
	struct qbx_err err;

	(void)state;
	assert_true(stray > 2);
	assert_int_equal(run("ls -l /proc/self/fd | grep -c zero", NULL, 0, 100, -1, &o, &err), 0);
	assert_string_equal(o.out, "0\n");
}

static void place_many(unsigned n)
{
	const char *argv[] = { "sh", "-c", "ls -l /proc/self/fd | grep -c zero", NULL };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };
	_cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ struct proc_fd *fds = calloc(n, sizeof(*fds));
	struct proc_spec spec = { .argv = argv, .netns = -1, .fds = fds, .nfds = n };
	int out[2], pidfd;
	char text[16] = "", want[16];
	struct qbx_err err = { 0 };
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	fds[0] = (struct proc_fd){ out[1], 1 };
	for (unsigned i = 1; i < n; i++)
		fds[i] = (struct proc_fd){ zero, (int)i + 2 };
	if (proc_spawn(&spec, &pid, &pidfd, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(proc_reap(pidfd), 0);
	close(pidfd);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	close(out[0]);
	close(out[1]);
	snprintf(want, sizeof(want), "%u\n", n - 1);
	assert_string_equal(text, want);
}

static void descriptors_are_placed_however_many(void **state)
{
	(void)state;
	place_many(10);
	place_many(600);
}

static const char *refuse(void *arg)
{
	errno = *(int *)arg;
	return "do it";
}

static void what_confines_a_child_says_what_failed(void **state)
{
	const char *argv[] = { "true", NULL };
	int sys = EPERM, pidfd;
	struct proc_spec spec = {
		.argv = argv, .netns = -1, .confine = refuse, .confine_arg = &sys
	};
	struct qbx_err err = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(proc_spawn(&spec, &pid, &pidfd, &err), -1);
	assert_string_equal(err.msg, "start true: do it: Operation not permitted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_other_descriptor_reaches_the_child),
		cmocka_unit_test(descriptors_are_placed_however_many),
		cmocka_unit_test(what_confines_a_child_says_what_failed),
		cmocka_unit_test(streams_and_status_come_back),
		cmocka_unit_test(input_larger_than_a_pipe_passes),
		cmocka_unit_test(input_that_nobody_reads_is_no_error),
		cmocka_unit_test(too_much_output_ends_it),
		cmocka_unit_test(a_hung_command_meets_its_deadline),
		cmocka_unit_test(a_program_may_be_called_otherwise),
		cmocka_unit_test(a_missing_program_is_told_at_once),
		cmocka_unit_test(descriptors_swap_without_loss),
		cmocka_unit_test(identity_tells_a_recycled_pid),
		cmocka_unit_test(a_child_waits_until_its_birth_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
