/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers in the loop: what they write, how they fail, and that their time is bounded. */
#include "unit.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#include "qbx-shim/helper.c"
#include "qbx-shim/job.c"

#include "jobs.h"

static json_t *got;
static struct qbx_err failure;
static int calls, descriptor;
static const char *option;

static int set_up(void **state)
{
	setenv("PATH", "/usr/bin:/bin", 1);
	return jobs_set_up(state);
}

static void done(void *arg, json_t *doc, const struct qbx_err *err)
{
	(void)arg;
	calls++;
	got = json_incref(doc);
	if (err)
		failure = *err;
	loop_stop(loop);
}

/* Run a shell script as the helper; its document is {"qbx":1}. */
static void run_script(const char *script, unsigned timeout_ms)
{
	struct helper_spec spec = {
		.verb = "verb", .timeout_ms = timeout_ms, .option = option, .fd = descriptor
	};
	json_auto_t *doc = json_pack("{s:i}", "qbx", 1);
	struct qbx_err err = { 0 };
	char path[128], text[512];

	snprintf(path, sizeof(path), "%s/helper", dir);
	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0755, text, strlen(text), &err), 0);
	spec.program = path;
	calls = 0;
	got = NULL;
	memset(&failure, 0, sizeof(failure));
	/* An absolute program is looked for beside this one, and then taken as it is. */
	assert_int_equal(helper_run(&jobs, &spec, doc, done, NULL, &err), 0);
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(calls, 1);
	assert_null(jobs.first);
}

static void a_document_comes_back(void **state)
{
	(void)state;
	run_script("[ \"$1 $2\" = '--json-errors verb' ] && cat", 5000);
	assert_int_equal(json_integer_value(json_object_get(got, "qbx")), 1);
	json_decref(got);
}

static void an_error_object(void **state)
{
	(void)state;
	run_script(
		"echo warning >&2; echo '{\"error\":{\"stage\":\"qbx-net\",\"code\":78,\"errno\":2,"
		"\"message\":\"no\\u0007 plugin\",\"hint\":\"install it\"}}' >&2; exit 78",
		5000);
	assert_null(got);
	assert_int_equal(failure.code, 78);
	assert_int_equal(failure.sys, 2);
	assert_string_equal(failure.stage, "qbx-net");
	assert_string_equal(failure.msg, "no  plugin");
	assert_string_equal(failure.hint, "install it");
}

static void other_ends(void **state)
{
	(void)state;
	run_script("echo first >&2; echo last >&2; exit 3", 5000);
	assert_string_equal(failure.msg, "last");
	assert_int_equal(failure.code, 3);
	run_script(
		"head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last of all >&2; exit 3",
		5000);
	assert_non_null(strstr(failure.msg, "last of all"));
	run_script("exit 4", 5000);
	assert_string_equal(failure.msg, "ended with status 4 and said nothing");
	run_script("kill -SEGV $$", 5000);
	assert_string_equal(failure.msg, "ended by signal 11");
	assert_int_equal(failure.code, EX_UNAVAILABLE);
	run_script("echo '{'", 5000);
	assert_int_equal(failure.code, EX_DATAERR);
}

static void output_is_bounded(void **state)
{
	(void)state;
	run_script("head -c 5000000 /dev/zero", 10000);
	assert_null(got);
	assert_int_equal(failure.code, EX_DATAERR);
	assert_non_null(strstr(failure.msg, "more than"));
}

static void time_is_bounded(void **state)
{
	(void)state;
	run_script("sleep 1000 & wait", 100);
	assert_null(got);
	assert_int_equal(failure.sys, ETIMEDOUT);
}

/* What a helper leaves behind may hold its pipes for ever. */
static void its_own_end_counts(void **state)
{
	(void)state;
	run_script("setsid sleep 3 & cat", 2000);
	assert_non_null(got);
	json_decref(got);
}

static void input_need_not_be_read(void **state)
{
	(void)state;
	run_script("exec 0<&-; echo '{}'", 5000);
	assert_non_null(got);
	json_decref(got);
}

static void missing_program(void **state)
{
	const struct helper_spec spec = { .program = "no-such-helper",
					  .verb = "v",
					  .timeout_ms = 1000 };
	json_auto_t *doc = json_object();
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(helper_run(&jobs, &spec, doc, done, NULL, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.stage, "no-such-helper");
	assert_null(jobs.first);
}

/* What a helper leaves behind becomes our child, and how it ended is known, whoever asks when. */
static void the_end_of_what_it_left_is_known(void **state)
{
	pid_t pid;
	siginfo_t info;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	run_script("setsid sh -c 'exec sleep 1000' > /dev/null 2>&1 & echo \"{\\\"pid\\\":$!}\"",
		   5000);
	pid = (pid_t)json_integer_value(json_object_get(got, "pid"));
	json_decref(got);
	assert_true(pid > 1);
	assert_int_equal(jobs_status(&jobs, pid), -1);
	kill(pid, SIGSEGV);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(jobs_status(&jobs, pid), 128 + SIGSEGV);
	/* collected by then, with others after it */
	pid = fork();
	if (pid == 0)
		_exit(5);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	jobs_reap(&jobs);
	assert_int_equal(jobs_status(&jobs, pid), 5);
}

/* A descriptor, if it is given one, and the option that says so. */
static void a_descriptor_is_handed_on(void **state)
{
	(void)state;
	descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
	option = "--monitor=3";
	run_script("[ \"$3\" = --monitor=3 ] && [ -e /proc/self/fd/3 ] && cat", 5000);
	close(descriptor);
	descriptor = 0;
	option = NULL;
	assert_non_null(got);
	json_decref(got);
	run_script("[ -z \"$3\" ] && [ ! -e /proc/self/fd/9 ] && cat", 5000);
	assert_non_null(got);
	json_decref(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_document_comes_back, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(an_error_object, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(other_ends, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(output_is_bounded, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(time_is_bounded, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(its_own_end_counts, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(input_need_not_be_read, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(missing_program, set_up, jobs_tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_what_it_left_is_known, set_up,
						jobs_tear_down),
		cmocka_unit_test_setup_teardown(a_descriptor_is_handed_on, set_up, jobs_tear_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
