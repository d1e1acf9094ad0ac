/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor, played by this test on the other end of a socket pair */
#include "unit.h"

#include "lib/qmp.c"

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
	assert_string_equal(json_string_value(json_object_get(body, "event")), "STOP");
	json_decref(body);
	assert_int_equal(decode("{\"return\":{\"status\":\"running\"}}", &kind, &body, &err), 0);
	assert_int_equal(kind, QMP_RETURN);
	assert_string_equal(json_string_value(json_object_get(body, "status")), "running");
	json_decref(body);
	assert_int_equal(decode("{\"error\":{\"desc\":\"no such thing\"}}", &kind, &body, &err), 0);
	assert_int_equal(kind, QMP_ERROR);
	assert_string_equal(json_string_value(json_object_get(body, "desc")), "no such thing");
	json_decref(body);
}

static void bad_lines_are_errors(void **state)
{
	static char deep[8192];
	const struct {
		const char *line, *says;
	} bad[] = {
		{ "{\"hello\":1}", "no known kind" },
		{ "{\"event\":1}", "no known kind" },
		{ "[1]", "object" },
		{ "", "JSON" },
		{ deep, "depth" },
	};
	enum qmp_kind kind;
	json_t *body;

	(void)state;
	memset(deep, '[', sizeof(deep) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		assert_int_equal(decode(bad[i].line, &kind, &body, &err), -1);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
		assert_null(body);
	}
}

/* ---- a conversation in the loop ---- */

struct conversation {
	struct loop *loop;
	struct qmp *qmp;
	int qemu; /* the other end */
	unsigned events, answers;
	bool free_at_event, stop_at_answer;
	char last[32];
	struct qbx_err answer, closed;
};

static void on_event(void *arg, const char *name, json_t *event)
{
	struct conversation *t = arg;

	assert_true(json_is_object(event));
	snprintf(t->last, sizeof(t->last), "%s", name);
	t->events++;
	if (!t->free_at_event)
		return;
	qmp_free(take_ptr(t->qmp));
	loop_stop(t->loop);
}

static void on_talk_closed(void *arg, const struct qbx_err *why)
{
	struct conversation *t = arg;

	t->qmp = NULL;
	t->closed = *why;
	loop_stop(t->loop);
}

static void on_talk_answer(void *arg, json_t *ret, const struct qbx_err *err)
{
	struct conversation *t = arg;

	assert_true(!ret == !!err);
	t->answers++;
	if (err)
		t->answer = *err;
	if (t->stop_at_answer)
		loop_stop(t->loop);
}

static void begin(struct conversation *t)
{
	struct qbx_err err = { 0 };
	int ends[2];

	memset(t, 0, sizeof(*t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	t->qemu = ends[1];
	t->loop = loop_new(&err);
	assert_non_null(t->loop);
	t->qmp = qmp_new(t->loop, ends[0], on_event, on_talk_closed, t, &err);
	assert_non_null(t->qmp);
}

static void finish(struct conversation *t)
{
	qmp_free(t->qmp);
	loop_free(t->loop);
	if (t->qemu >= 0)
		close(t->qemu);
}

static void qemu_says(struct conversation *t, const char *text)
{
	assert_int_equal(io_write_all(t->qemu, text, strlen(text)), 0);
}

static void ask_talk(struct conversation *t, unsigned ms)
{
	struct qbx_err err = { 0 };

	assert_int_equal(qmp_request(t->qmp, "query-status", NULL, ms, on_talk_answer, t, &err), 0);
}

static void run(struct conversation *t)
{
	struct qbx_err err = { 0 };

	assert_int_equal(loop_run(t->loop, &err), 0);
}

static void events_come_between_answers(void **state)
{
	struct conversation t;

	(void)state;
	begin(&t);
	t.stop_at_answer = true;
	ask_talk(&t, 5000);
	qemu_says(&t, "{\"QMP\":{}}\r\n{\"event\":\"STOP\"}\n{\"return\":{}}\n"
		      "{\"event\":\"RESUME\"}\n{\"return\":{\"status\":\"running\"}}\n");
	run(&t);
	assert_int_equal(t.events, 2);
	assert_int_equal(t.answers, 1);
	assert_int_equal(t.answer.code, 0);
	finish(&t);
}

static void the_end_is_told_to_all_who_wait(void **state)
{
	struct conversation t;

	(void)state;
	begin(&t);
	ask_talk(&t, 0);
	ask_talk(&t, 5000);
	qemu_says(&t, "{\"QMP\":{}}\n{\"event\":\"SHUTDOWN\"}\n");
	close(take_fd(&t.qemu));
	run(&t);
	assert_string_equal(t.last, "SHUTDOWN");
	assert_int_equal(t.answers, 2);
	assert_int_equal(t.answer.sys, ECONNRESET);
	assert_int_equal(t.closed.sys, ECONNRESET);
	finish(&t);
}

static void what_has_arrived_can_be_had_at_once(void **state)
{
	struct conversation t;

	(void)state;
	begin(&t);
	qemu_says(&t, "{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-reset\"}}\n");
	close(take_fd(&t.qemu));
	qmp_drain(t.qmp);
	assert_int_equal(t.events, 1);
	assert_null(t.qmp);
	finish(&t);
}

static void a_late_answer_is_for_nobody(void **state)
{
	struct conversation t;

	(void)state;
	begin(&t);
	t.stop_at_answer = true;
	ask_talk(&t, 20);
	run(&t);
	assert_int_equal(t.answer.sys, ETIMEDOUT);
	ask_talk(&t, 5000);
	qemu_says(&t, "{\"return\":{}}\n{\"error\":{\"desc\":\"for nobody\"}}\n{\"return\":{}}\n");
	memset(&t.answer, 0, sizeof(t.answer));
	run(&t);
	assert_int_equal(t.answers, 2);
	assert_int_equal(t.answer.code, 0);
	finish(&t);
}

static void whoever_breaks_the_rules_is_left(void **state)
{
	static char endless[QMP_LINE_MAX + 1], flood[20 * (QMP_RATE_MAX + 2)];
	const struct {
		const char *text, *says;
	} bad[] = {
		{ endless, "without end" },
		{ flood, "flood" },
		{ "nonsense\n", "JSON" },
		{ "{\"return\":{}}\n{\"return\":{}}\n", "no command" },
		{ "{\"return\":{}}\n{\"error\":{\"desc\":\"x\"}}\n", "no command: x" },
	};

	(void)state;
	memset(endless, 'x', QMP_LINE_MAX);
	for (size_t i = 0; i <= QMP_RATE_MAX; i++)
		strcat(flood + strlen(flood), "{\"event\":\"STOP\"}\n");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct conversation t;

		begin(&t);
		qemu_says(&t, bad[i].text);
		run(&t);
		if (!strstr(t.closed.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, t.closed.msg);
		assert_true(t.events <= QMP_RATE_MAX);
		finish(&t);
	}
}

static void it_may_be_freed_by_what_it_tells(void **state)
{
	struct conversation t;

	(void)state;
	begin(&t);
	ask_talk(&t, 5000);
	t.free_at_event = true;
	qemu_says(&t, "{\"event\":\"STOP\"}\n{\"event\":\"STOP\"}\n");
	run(&t);
	assert_int_equal(t.events, 1);
	assert_int_equal(t.answers, 0);
	finish(&t);
}

static void commands_that_nobody_answers_do_not_pile_up(void **state)
{
	struct qbx_err err = { 0 };
	struct conversation t;

	(void)state;
	begin(&t);
	for (unsigned i = 1; i < QMP_PENDING_MAX; i++)
		ask_talk(&t, 0);
	assert_int_equal(qmp_request(t.qmp, "cont", NULL, 0, on_talk_answer, &t, &err), -1);
	assert_int_equal(err.code, EX_TEMPFAIL);
	finish(&t);
}

static void arguments_go_with_the_command(void **state)
{
	static const char says[] = "{\"execute\":\"qmp_capabilities\"}\n"
				   "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"cpu1\"}}\n";
	struct qbx_err err = { 0 };
	struct conversation t;
	char heard[256], *long_id;

	(void)state;
	begin(&t);
	assert_int_equal(qmp_request(t.qmp, "device_del", json_pack("{s:s}", "id", "cpu1"), 0,
				     on_talk_answer, &t, &err),
			 0);
	assert_int_equal(recv(t.qemu, heard, sizeof(heard), 0), sizeof(says) - 1);
	assert_memory_equal(heard, says, sizeof(says) - 1);
	assert_true(asprintf(&long_id, "%0*d", (int)COMMAND_MAX, 0) > 0);
	assert_int_equal(qmp_request(t.qmp, "device_del", json_pack("{s:s}", "id", long_id), 0,
				     on_talk_answer, &t, &err),
			 -1);
	assert_int_equal(err.sys, E2BIG);
	assert_int_equal(recv(t.qemu, heard, sizeof(heard), MSG_DONTWAIT), -1);
	free(long_id);
	finish(&t);
}

static void what_qemu_refuses_is_told_with_the_command(void **state)
{
	const struct {
		const char *text, *says;
	} replies[] = {
		{ "{\"return\":{}}\n{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}\n",
		  "QEMU: query-status: no" },
		{ "{\"return\":{}}\n{\"error\":7}\n", "QEMU: query-status: an error without text" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct conversation t;

		begin(&t);
		t.stop_at_answer = true;
		ask_talk(&t, 5000);
		qemu_says(&t, replies[i].text);
		run(&t);
		assert_string_equal(t.answer.msg, replies[i].says);
		assert_int_equal(t.answer.code, EX_UNAVAILABLE);
		assert_non_null(t.qmp);
		finish(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_apart),
		cmocka_unit_test(bad_lines_are_errors),
		cmocka_unit_test(events_come_between_answers),
		cmocka_unit_test(the_end_is_told_to_all_who_wait),
		cmocka_unit_test(what_has_arrived_can_be_had_at_once),
		cmocka_unit_test(a_late_answer_is_for_nobody),
		cmocka_unit_test(whoever_breaks_the_rules_is_left),
		cmocka_unit_test(it_may_be_freed_by_what_it_tells),
		cmocka_unit_test(commands_that_nobody_answers_do_not_pile_up),
		cmocka_unit_test(arguments_go_with_the_command),
		cmocka_unit_test(what_qemu_refuses_is_told_with_the_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
