/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of the host: which there are, what the guest gets, and how they run in the loop. */
#include "unit.h"

#include "qbx-shim/hooks-run.c"
#include "qbx-shim/hooks.c"
#include "qbx-shim/job.c"

#include "jobs.h"

static struct hooks hooks;
static struct qbx_err failure;
static int calls;

static int tear_down(void **state)
{
	hooks_free(&hooks);
	return jobs_tear_down(state);
}

/* ---- what there is ---- */

/* Return: hooks_take() of a specification with these hooks, which is @spec afterwards. */
static int take(const char *text, json_t **spec)
{
	struct qbx_err err = { 0 };
	int any;

	hooks_free(&hooks);
	memset(&failure, 0, sizeof(failure));
	*spec = json_pack("{s:s, s:o, s:{s:s}}", "ociVersion", "1.0.2", "hooks",
			  json_loads(text, JSON_DECODE_ANY, NULL), "annotations", "k", "v");
	assert_non_null(*spec);
	any = hooks_take(&hooks, &jobs, *spec, "demo", dir, &err);
	failure = err;
	return any;
}

static void take_only(const char *text)
{
	json_t *spec;

	assert_int_equal(take(text, &spec), 1);
	json_decref(spec);
}

static void refused(const char *text, const char *why)
{
	json_t *spec;

	assert_int_equal(take(text, &spec), -1);
	json_decref(spec);
	assert_int_equal(failure.code, EX_DATAERR);
	assert_non_null(strstr(failure.msg, why));
}

static void ours_are_taken_and_the_guest_s_are_left(void **state)
{
	json_auto_t *spec = NULL;
	json_t *left;

	(void)state;
	assert_int_equal(take("{\"prestart\":[{\"path\":\"/a\"}],\"createContainer\":[{\"path\":\"/"
			      "b\"}],\"poststop\":null,\"poststart\":[]}",
			      &spec),
			 1);
	left = json_object_get(spec, "hooks");
	assert_int_equal(json_object_size(left), 1);
	assert_int_equal(json_array_size(json_object_get(left, "createContainer")), 1);
	assert_int_equal(json_array_size(hooks.lists[HOOK_PRESTART]), 1);
	assert_null(hooks.lists[HOOK_POSTSTART]);
	assert_null(hooks.lists[HOOK_POSTSTOP]);
}

static void none_are_none(void **state)
{
	static const char *const texts[] = { "null", "{}", "7", "{\"poststop\":[]}",
					     "{\"startContainer\":[{\"path\":\"/b\"}]}" };
	struct qbx_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *spec;

		assert_int_equal(take(texts[i], &spec), 0);
		json_decref(spec);
		assert_int_equal(
			hooks_run(&hooks, HOOK_PRESTART, HOOK_POSTSTART, 1, NULL, NULL, &err), 1);
	}
}

static char *many(size_t n, const char *before, const char *item, const char *after)
{
	char *text = malloc(n * (strlen(item) + 1) + strlen(before) + strlen(after) + 1);
	char *at = stpcpy(text, before);

	for (size_t i = 0; i < n; i++)
		at = stpcpy(stpcpy(at, i ? "," : ""), item);
	strcpy(at, after);
	return text;
}

static void bounds(void **state)
{
	_cleanup_free_ char *most = many(HOOKS_MAX, "{\"poststop\":[", "{\"path\":\"/a\"}", "]}");
	_cleanup_free_ char *too_many =
		many(HOOKS_MAX + 1, "{\"poststop\":[", "{\"path\":\"/a\"}", "]}");
	_cleanup_free_ char *args = many(
		HOOK_STRINGS_MAX + 1, "{\"poststop\":[{\"path\":\"/a\",\"args\":[", "\"\"", "]}]}");

	(void)state;
	take_only(most);
	refused(too_many, "hooks.poststop has more than 64");
	refused(args, "hooks.poststop[0]: args");
	refused("{\"prestart\":{}}", "hooks.prestart is no array");
	refused("{\"prestart\":[7]}", "hooks.prestart[0]: path");
	refused("{\"createRuntime\":[{\"path\":\"/a\"},{\"path\":\"b\"}]}",
		"hooks.createRuntime[1]: path");
	refused("{\"prestart\":[{\"path\":\"/a\",\"args\":\"b\"}]}", "args");
	refused("{\"prestart\":[{\"path\":\"/a\",\"env\":[1]}]}", "env");
	refused("{\"prestart\":[{\"path\":\"/a\",\"timeout\":0}]}", "timeout");
	refused("{\"prestart\":[{\"path\":\"/a\",\"timeout\":3601}]}", "timeout");
	refused("{\"prestart\":[{\"path\":\"/a\",\"timeout\":1.5}]}", "timeout");
	take_only("{\"prestart\":[{\"path\":\"/a\",\"timeout\":3600,\"args\":[],\"env\":[]}]}");
}

/* ---- how they run ---- */

static void done(void *arg, const struct qbx_err *err)
{
	(void)arg;
	calls++;
	if (err)
		failure = *err;
	loop_stop(loop);
}

/* Return: how hooks_run() ended in the end: 1 or -1. */
static int run(enum hook_kind first, enum hook_kind last)
{
	struct qbx_err err = { 0 };
	int rc;

	calls = 0;
	memset(&failure, 0, sizeof(failure));
	rc = hooks_run(&hooks, first, last, 4711, done, NULL, &failure);
	if (rc != 0)
		return rc;
	assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(calls, 1);
	assert_null(hooks.job);
	return failure.code ? -1 : 1;
}

static json_t *read_json(const char *name)
{
	struct qbx_err err = { 0 };
	char path[96];
	json_t *j;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	j = json_read_file(AT_FDCWD, path, &err);
	if (!j)
		fail_msg("%s", err.msg);
	return j;
}

#define SH(script) "{\"path\":\"/bin/sh\",\"args\":[\"own name\",\"-c\",\"" script "\"]}"

static void the_state_is_told(void **state)
{
	json_auto_t *told = NULL, *want = NULL, *after = NULL;

	(void)state;
	take_only("{\"createRuntime\":[" SH("/bin/cat > told") "],\"poststop\":[" SH(
		"/bin/cat > after") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_CREATE_RUNTIME), 1);
	told = read_json("told");
	want = json_pack("{s:s, s:s, s:s, s:i, s:s, s:{s:s}}", "ociVersion", "1.2.0", "id", "demo",
			 "status", "creating", "pid", 4711, "bundle", dir, "annotations", "k", "v");
	assert_true(json_equal(told, want));
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	after = read_json("after");
	assert_string_equal(json_string_value(json_object_get(after, "status")), "stopped");
	assert_null(json_object_get(after, "pid"));
}

static void arguments_and_environment_are_as_named(void **state)
{
	(void)state;
	setenv("HOME", "/root", 1);
	take_only("{\"prestart\":[" SH("[ \\\"$0\\\" = 'own name' ] || exit 9; "
				       "[ -z \\\"$HOME\\\" ] || exit 8") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), 1);
	take_only("{\"prestart\":[{\"path\":\"/bin/false\"}]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), -1);
	assert_non_null(strstr(failure.msg, "prestart[0] /bin/false: ended with status 1"));
	assert_string_equal(failure.stage, "hook");
}

static void the_first_that_fails_is_the_last(void **state)
{
	(void)state;
	take_only("{\"prestart\":[" SH("exit 0") "," SH(
		"echo a >&2; echo b >&2; exit 3") "],"
						  "\"createRuntime\":[" SH("echo > ran") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_CREATE_RUNTIME), -1);
	assert_string_equal(failure.msg, "prestart[1] /bin/sh: ended with status 3: b");
	take_only("{\"createRuntime\":[{\"path\":\"/no/hook\"}]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_CREATE_RUNTIME), -1);
	assert_int_equal(failure.sys, ENOENT);
	take_only("{\"createRuntime\":[" SH("kill -SEGV $$") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_CREATE_RUNTIME), -1);
	assert_non_null(strstr(failure.msg, "ended by signal 11"));
}

static void poststop_goes_on_and_runs_once(void **state)
{
	char path[96];

	(void)state;
	take_only("{\"poststop\":[" SH("exit 1") ",{\"path\":\"/no/hook\"}," SH(
		"echo x >> ran") "]}");
	/* Not before the others have had their turn. */
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	snprintf(path, sizeof(path), "%s/ran", dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(run(HOOK_PRESTART, HOOK_CREATE_RUNTIME), 1);
	assert_int_equal(access(hooks.path, F_OK), 0);
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access(hooks.path, F_OK), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	assert_int_equal(access(path, F_OK), -1);
}

static void on_timer(void *arg)
{
	hooks_stop(arg);
}

static void time_is_bounded(void **state)
{
	unsigned long long begun = io_now_us();
	struct qbx_err err = { 0 };

	(void)state;
	take_only("{\"prestart\":[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"sleep 1000 & "
		  "wait\"],"
		  "\"timeout\":1,\"env\":[\"PATH=/bin\"]}]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), -1);
	assert_string_equal(failure.msg, "prestart[0] /bin/sh: killed when its time was up");
	assert_true(io_now_us() - begun < 30000000);
	take_only("{\"prestart\":[" SH("exec /bin/sleep 1000") "]}");
	assert_non_null(loop_add_timer(loop, 50, on_timer, &hooks, &err));
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), -1);
	assert_non_null(strstr(failure.msg, "ended by signal 9"));
}

/* ---- what is left when this process is gone ---- */

static void a_file_is_enough_to_go_on(void **state)
{
	json_auto_t *file = NULL;
	struct qbx_err err = { 0 };
	struct proc_id running, self;
	char path[96];

	(void)state;
	take_only("{\"prestart\":[" SH("exec /bin/cp hooks.json copy") "],\"poststop\":[" SH(
		"echo > first") "," SH("echo > second") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), 1);
	file = read_json("copy");
	hooks_free(&hooks);
	assert_int_equal(hooks_restore(&hooks, file, &running, &err), 0);
	assert_true(running.pid > 1);
	assert_int_equal(proc_identify(running.pid, &self), -1);
	hooks.jobs = &jobs;
	hooks.next = 1;
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	snprintf(path, sizeof(path), "%s/second", dir);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/first", dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_file_that_is_none(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"state\":7,\"next\":0}",
		"{\"state\":{\"bundle\":\"/b\"},\"next\":1}",
		"{\"state\":{\"bundle\":\"/b\"},\"next\":-1}",
		"{\"state\":{\"bundle\":\"/b\"},\"poststop\":{}}",
		"{\"state\":{\"bundle\":\"/b\"},\"poststop\":[{\"path\":\"a\"}]}",
		"{\"state\":{\"bundle\":\"/b\"},\"running\":{\"pid\":1,\"start\":5}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_auto_t *file = json_loads(texts[i], 0, NULL);
		struct qbx_err err = { 0 };
		struct proc_id running;

		assert_non_null(file);
		assert_int_equal(hooks_restore(&hooks, file, &running, &err), -1);
		assert_non_null(strstr(err.msg, HOOKS_FILE));
		hooks_free(&hooks);
	}
}

static void there_may_be_no_time_left(void **state)
{
	char path[96];

	(void)state;
	take_only("{\"poststop\":[" SH("echo > ran") "]}");
	assert_int_equal(run(HOOK_PRESTART, HOOK_PRESTART), 1);
	hooks.end_us = io_now_us();
	assert_int_equal(run(HOOK_POSTSTOP, HOOK_POSTSTOP), 1);
	snprintf(path, sizeof(path), "%s/ran", dir);
	assert_int_equal(access(path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, jobs_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ours_are_taken_and_the_guest_s_are_left),
		TEST(none_are_none),
		TEST(bounds),
		TEST(the_state_is_told),
		TEST(arguments_and_environment_are_as_named),
		TEST(the_first_that_fails_is_the_last),
		TEST(poststop_goes_on_and_runs_once),
		TEST(time_is_bounded),
		TEST(a_file_is_enough_to_go_on),
		TEST(a_file_that_is_none),
		TEST(there_may_be_no_time_left),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
