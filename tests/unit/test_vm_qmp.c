/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor, played by a child of this test */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "qbx-vm/qmp.c"
#include "qbx-vm/vsock.c"

static char dir[] = "/tmp/qbx-qmp-XXXXXX";
static int dirfd_ = -1;

static int decode(const char *line, enum qmp_kind *kind, json_t **body, struct qbx_err *err)
{
	return qmp_decode(line, strlen(line), kind, body, err);
}

static void lines_are_told_apart(void **state)
{
	struct qbx_err err = { 0 };
	enum qmp_kind kind;
	json_t *body;

	(void)state;
	assert_int_equal(decode("{\"QMP\":{}}", &kind, &body, &err), 0);
	assert_int_equal(kind, QMP_GREETING);
	assert_int_equal(decode("{\"event\":\"STOP\",\"timestamp\":{}}", &kind, &body, &err), 0);
	assert_int_equal(kind, QMP_EVENT);
	assert_int_equal(decode("{\"return\":{\"status\":\"running\"}}", &kind, &body, &err), 0);
	assert_int_equal(kind, QMP_RETURN);
	assert_string_equal(json_string_value(json_object_get(body, "status")), "running");
	json_decref(body);
}

static void bad_lines_are_errors(void **state)
{
	static const struct {
		const char *line, *says;
	} bad[] = {
		{ "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no such thing\"}}",
		  "no such thing" },
		{ "{\"error\":7}", "without text" },
		{ "{\"hello\":1}", "no known kind" },
		{ "[1]", "object" },
		{ "", "JSON" },
	};
	enum qmp_kind kind;
	json_t *body;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		assert_int_equal(decode(bad[i].line, &kind, &body, &err), -1);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
		assert_null(body);
	}
}

/* A monitor that accepts once, says each line, and waits for a line of ours where one is NULL. */
static pid_t monitor(const char *const *lines, size_t n)
{
	struct qbx_err err = { 0 };
	int listener;
	pid_t pid;

	unlinkat(dirfd_, VM_FILE_QMP, 0);
	listener = unix_listen(dirfd_, VM_FILE_QMP, &err);
	assert_true(listener >= 0);
	pid = fork();
	if (pid == 0) {
		int fd;
		char byte;

		io_set_nonblock(listener, 0);
		fd = accept(listener, NULL, NULL);
		for (size_t i = 0; i < n; i++) {
			if (lines[i] && write(fd, lines[i], strlen(lines[i])) < 0)
				_exit(1);
			while (!lines[i] && read(fd, &byte, 1) == 1 && byte != '\n')
				;
		}
		while (read(fd, &byte, 1) == 1)
			;
		_exit(0);
	}
	close(listener);
	return pid;
}

static json_t *ask(const char *const *lines, size_t n, unsigned ms, struct qbx_err *err)
{
	pid_t pid = monitor(lines, n);
	json_t *reply;

	memset(err, 0, sizeof(*err));
	reply = qmp_execute(dirfd_, "query-status", ms, err);
	waitpid(pid, NULL, 0);
	return reply;
}

static void a_question_is_answered_between_events(void **state)
{
	static const char *const lines[] = {
		"{\"QMP\":{}}\r\n",
		NULL,
		"{\"return\":{}}\n{\"event\":\"RESUME\"}\n",
		NULL,
		"{\"event\":\"STOP\"}\n{\"return\":",
		"{\"status\":\"paused\"}}\n",
	};
	struct qbx_err err;
	json_auto_t *reply = ask(lines, ARRAY_SIZE(lines), 2000, &err);

	(void)state;
	assert_non_null(reply);
	assert_string_equal(json_string_value(json_object_get(reply, "status")), "paused");
}

static void a_monitor_that_says_nothing_is_not_waited_for(void **state)
{
	static const char *const lines[] = { "{\"QMP\":{}" };
	struct qbx_err err;

	(void)state;
	assert_null(ask(lines, 1, 50, &err));
	assert_int_equal(err.sys, ETIMEDOUT);
}

static void a_line_without_end_is_cut_off(void **state)
{
	static char line[LINE_MAX_BYTES + 2];
	const char *const lines[] = { line };
	struct qbx_err err;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	assert_null(ask(lines, 1, 5000, &err));
	assert_non_null(strstr(err.msg, "without end"));
}

static void a_flood_of_events_ends(void **state)
{
	const char *lines[MESSAGES_MAX + 1];
	struct qbx_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = "{\"event\":\"STOP\"}\n";
	assert_null(ask(lines, ARRAY_SIZE(lines), 5000, &err));
	assert_non_null(strstr(err.msg, "not the reply"));
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	close(dirfd_);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_apart),
		cmocka_unit_test(bad_lines_are_errors),
		cmocka_unit_test(a_question_is_answered_between_events),
		cmocka_unit_test(a_monitor_that_says_nothing_is_not_waited_for),
		cmocka_unit_test(a_line_without_end_is_cut_off),
		cmocka_unit_test(a_flood_of_events_ends),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
