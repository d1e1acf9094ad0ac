/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to QEMU's monitor, played by a child of this test on the box's socket */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "qbx-vm/qmp.c"
#include "qbx-vm/vsock.c"

static char dir[] = "/tmp/qbx-qmp-XXXXXX";
static int dirfd_ = -1;

/* ---- one question ---- */

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

static json_t *question(const char *const *lines, size_t n, unsigned ms, struct qbx_err *err)
{
	pid_t pid = monitor(lines, n);
	json_t *reply;

	memset(err, 0, sizeof(*err));
	reply = qmp_execute(dirfd_, "query-status", ms, err);
	waitpid(pid, NULL, 0);
	return reply;
}

static void a_question_is_answered(void **state)
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
	json_auto_t *reply = question(lines, ARRAY_SIZE(lines), 2000, &err);

	(void)state;
	assert_non_null(reply);
	assert_string_equal(json_string_value(json_object_get(reply, "status")), "paused");
}

static void a_monitor_that_says_nothing_is_not_waited_for(void **state)
{
	static const char *const lines[] = { "{\"QMP\":{}" };
	struct qbx_err err;

	(void)state;
	assert_null(question(lines, 1, 50, &err));
	assert_int_equal(err.sys, ETIMEDOUT);
}

static void one_that_ends_is_not_waited_for_either(void **state)
{
	struct qbx_err err = { 0 };
	int listener;

	(void)state;
	unlinkat(dirfd_, VM_FILE_QMP, 0);
	listener = unix_listen(dirfd_, VM_FILE_QMP, &err);
	assert_true(listener >= 0);
	close(listener);
	assert_null(qmp_execute(dirfd_, "query-status", 60000, &err));
	assert_int_equal(err.sys, ECONNREFUSED);
}

/* ---- several, and events between them ---- */

#define GREETING "{\"QMP\":{}}\n"
#define GONE "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"cpu1\"}}\n"

static bool is_gone(void *arg, const char *name, const json_t *data)
{
	const char *device = json_string_value(json_object_get(data, "device"));

	return !strcmp(name, "DEVICE_DELETED") && device && !strcmp(device, arg);
}

/* Ask with an event in mind, and await that. Return: 0, or -1 with @err. */
static int pull(struct talk *t, const char *id, unsigned ms, struct qbx_err *err)
{
	json_t *reply;

	talk_expect(t, is_gone, (void *)id);
	reply = talk_ask(t, "device_del", json_pack("{s:s}", "id", id), err);
	json_decref(reply);
	return reply ? talk_await(t, ms, err) : -1;
}

static void an_event_comes_before_the_answer_or_after_it(void **state)
{
	static const char *const lines[] = {
		GREETING,
		NULL,
		"{\"return\":{}}\n",
		NULL,
		"{\"event\":\"STOP\"}\n",
		GONE,
		"{\"return\":{}}\n",
		NULL,
		"{\"return\":{}}\n{\"event\":\"DEVICE_DELETED\"}\n",
		GONE,
		NULL,
		"{\"error\":{\"desc\":\"no such device\"}}\n",
		NULL,
		GONE,
		"{\"return\":[]}\n",
	};
	pid_t pid = monitor(lines, ARRAY_SIZE(lines));
	struct qbx_err err = { 0 };
	struct talk *t = talk_begin(dirfd_, &err);
	json_t *reply;

	(void)state;
	assert_non_null(t);
	assert_int_equal(pull(t, "cpu1", 5000, &err), 0);
	assert_int_equal(pull(t, "cpu1", 5000, &err), 0);
	assert_int_equal(pull(t, "cpu1", 5000, &err), -1);
	assert_string_equal(err.msg, "QEMU: device_del: no such device");
	assert_int_equal(err.code, EX_UNAVAILABLE);
	reply = talk_ask(t, "query-hotpluggable-cpus", NULL, &err);
	assert_true(json_is_array(reply));
	json_decref(reply);
	talk_end(t);
	waitpid(pid, NULL, 0);
}

static void an_event_is_awaited_no_longer_than_said(void **state)
{
	static const char *const lines[] = {
		GREETING, NULL, "{\"return\":{}}\n", NULL, GONE, "{\"return\":{}}\n",
		NULL,	  GONE, "{\"return\":{}}\n",
	};
	pid_t pid = monitor(lines, ARRAY_SIZE(lines));
	struct qbx_err err = { 0 };
	struct talk *t = talk_begin(dirfd_, &err);
	json_t *reply;

	(void)state;
	assert_non_null(t);
	assert_int_equal(pull(t, "cpu2", 50, &err), -1);
	assert_int_equal(err.sys, ETIMEDOUT);
	reply = talk_ask(t, "query-memory-devices", NULL, &err);
	assert_non_null(reply);
	json_decref(reply);
	talk_end(t);
	waitpid(pid, NULL, 0);
}

static void the_end_is_told_to_each_that_asks(void **state)
{
	static const char *const lines[] = {
		GREETING, NULL, "{\"return\":{}}\n", NULL, "{\"return\":{}}\nnonsense\n",
	};
	pid_t pid = monitor(lines, ARRAY_SIZE(lines));
	struct qbx_err err = { 0 };
	struct talk *t = talk_begin(dirfd_, &err);

	(void)state;
	assert_non_null(t);
	assert_int_equal(pull(t, "cpu1", 5000, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	memset(&err, 0, sizeof(err));
	assert_null(talk_ask(t, "device_del", json_pack("{s:s}", "id", "cpu1"), &err));
	assert_int_equal(err.code, EX_DATAERR);
	assert_int_equal(talk_await(t, 5000, &err), -1);
	talk_end(t);
	waitpid(pid, NULL, 0);
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
		cmocka_unit_test(a_question_is_answered),
		cmocka_unit_test(a_monitor_that_says_nothing_is_not_waited_for),
		cmocka_unit_test(one_that_ends_is_not_waited_for_either),
		cmocka_unit_test(an_event_comes_before_the_answer_or_after_it),
		cmocka_unit_test(an_event_is_awaited_no_longer_than_said),
		cmocka_unit_test(the_end_is_told_to_each_that_asks),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
