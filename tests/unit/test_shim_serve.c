/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real shim, between a client and a guest that this test is itself. Scripts stand in for the
 * other commands, so that each can be made to fail; what they were asked for is compared.
 */
#include "unit.h"

#include <string.h>

#include "serve_shim.h"

/* A container that runs, and a Wait for it. */
static void runs(struct answer *w)
{
	struct answer a;

	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(w, V2);
}

static void ends(struct answer *w, unsigned status)
{
	finish(w);
	assert_int_equal(waited(w), status);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void a_life(void **state)
{
	struct answer a, w2, w3;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	assert_string_equal(guest.stdout_name, "stream:1");
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__CREATED);
	assert_int_equal(start(), TTRPC_OK);
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__RUNNING);
	assert_int_equal(delete_task(), TTRPC_FAILED_PRECONDITION);
	ask_wait(&w2, V2);
	ask_wait(&w3, V3);
	/* The exit comes first, but is not told before the last byte is in the FIFO. */
	guest_exit(7);
	serve_ms(100);
	assert_false(w2.done || w3.done);
	assert_int_equal(kill_task(15), TTRPC_NOT_FOUND);
	guest_says(1, "hello");
	guest_says(1, "");
	finish(&w2);
	finish(&w3);
	assert_int_equal(waited(&w2), 7);
	assert_int_equal(waited(&w3), 7);
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__STOPPED);
	assert_int_equal(delete_task(), TTRPC_OK);
	serve_ms(50);
	assert_string_equal(topics, "/tasks/create /tasks/start /tasks/exit /tasks/delete ");
	assert_non_null(strstr(get("log/default--demo.json"), "\"create\":"));
	assert_non_null(strstr(get("calls"), "qbx-vm start\nqbx-vm stop\n"));
}

static void output_reaches_its_reader(void **state)
{
	char text[16] = "";
	struct answer w;
	int out;

	(void)state;
	out = open(path_of("out"), O_RDONLY | O_NONBLOCK);
	runs(&w);
	guest_says(1, "hello");
	guest_says(1, "");
	guest_exit(0);
	finish(&w);
	assert_int_equal(read(out, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(read(out, text, sizeof(text)), 0); /* end of file, not EAGAIN */
	close(out);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void create_fails_at(const char *flag, const char *want, const char *first_undo)
{
	struct answer a;

	put(flag, 0600, "");
	assert_int_not_equal(create(&a), TTRPC_OK);
	assert_string_equal(a.message, want);
	assert_non_null(strstr(get("calls"), first_undo));
	assert_non_null(strstr(get("calls"), "qbx-fs release\n"));
	assert_non_null(strstr(get("calls"), "qbx-net del\n"));
	assert_int_equal(access(path_of("run/default--demo"), F_OK), -1);
	unlink(path_of(flag));
	unlink(path_of("calls"));
}

static void each_helper_may_fail(void **state)
{
	struct answer a;

	(void)state;
	create_fails_at("fail-add", "qbx-net: add broke (mend it)", "qbx-vm stop\n");
	create_fails_at("fail-prepare", "qbx-fs: prepare broke (mend it)", "qbx-vm stop\n");
	create_fails_at("fail-start", "qbx-vm: start broke (mend it)",
			"qbx-vm start\nqbx-vm stop\n");
	assert_string_equal(topics, "");
	/* and nothing of that is in the way of a better try */
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void the_guest_may_refuse(void **state)
{
	struct answer a;

	(void)state;
	guest.fail_create = true;
	assert_int_equal(create(&a), TTRPC_INVALID_ARGUMENT);
	assert_string_equal(a.message, "guest: no such command:  /bin/nope");
	assert_non_null(strstr(get("calls"), "qbx-vm stop\n"));
}

static void undo_may_fail_and_be_repeated(void **state)
{
	struct answer a;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	put("fail-del", 0600, "");
	ask_delete(&a);
	finish(&a);
	assert_int_not_equal(a.code, TTRPC_OK);
	assert_non_null(strstr(a.message, "del broke"));
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__STOPPED);
	unlink(path_of("fail-del"));
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void a_lost_vm_is_an_exit(void **state)
{
	struct answer w;

	(void)state;
	runs(&w);
	serve_ms(50);
	kill(atoi(get("vmpid")), SIGKILL);
	ends(&w, 137);
}

static void a_lost_guest_is_an_exit(void **state)
{
	struct answer w;

	(void)state;
	runs(&w);
	serve_ms(50);
	ttrpc_free(take_ptr(guest.control));
	ends(&w, 137);
}

static void kill_needs_no_guest(void **state)
{
	struct answer w;

	(void)state;
	guest.mute = true;
	runs(&w);
	assert_int_equal(kill_task(SIGKILL), TTRPC_OK);
	ends(&w, 137);
}

static void signals_reach_the_guest(void **state)
{
	struct answer w;

	(void)state;
	runs(&w);
	serve_ms(50);
	assert_int_equal(kill_task(15), TTRPC_OK);
	assert_int_equal(guest.killed_by, 15);
	guest_says(1, "");
	ends(&w, 143);
}

/* A specification in which each kind of hook of the host is a script. */
static void put_hooks(const char *prestart, const char *poststart)
{
	char text[1024];

#define HOOK "[{\"path\":\"/bin/sh\",\"args\":[\"sh\",\"-c\",\"%s\"]}]"
	snprintf(text, sizeof(text),
		 "{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]},\"hooks\":{"
		 "\"prestart\":" HOOK ",\"createRuntime\":" HOOK ",\"poststart\":" HOOK
		 ",\"poststop\":" HOOK "}}",
		 prestart, "echo createRuntime >> ../calls", poststart,
		 "echo poststop >> ../calls");
#undef HOOK
	put("bundle/config.json", 0600, text);
}

static void hooks_run_at_their_times(void **state)
{
	ID_REQUEST(Start, r, START);
	struct answer a, s, w;
	FILE *gate;

	(void)state;
	assert_int_equal(mkfifo(path_of("gate"), 0600), 0);
	put_hooks("echo prestart >> ../calls", "read line < ../gate; echo $line >> ../calls");
	assert_int_equal(create(&a), TTRPC_OK);
	assert_false(guest.told_hooks);
	assert_non_null(strstr(get("calls"), "qbx-vm start\nprestart\ncreateRuntime\n"));
	ask(&s, V3, "Start", &r, &qemubox__task__start_response__descriptor);
	serve_ms(100);
	/* It runs, and Start is not answered; so neither is its end told. */
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__RUNNING);
	assert_int_equal(delete_task(), TTRPC_FAILED_PRECONDITION);
	ask_wait(&w, V2);
	guest_exit(3);
	guest_says(1, "");
	serve_ms(100);
	assert_false(s.done || w.done);
	gate = fopen(path_of("gate"), "we");
	fputs("poststart\n", gate);
	fclose(gate);
	finish(&s);
	assert_int_equal(s.code, TTRPC_OK);
	finish(&w);
	assert_int_equal(waited(&w), 3);
	assert_int_equal(access(path_of("bundle/hooks.json"), F_OK), 0);
	assert_int_equal(delete_task(), TTRPC_OK);
	assert_non_null(strstr(get("calls"), "\npoststart\nqbx-vm stop\npoststop\nqbx-"));
	assert_int_equal(access(path_of("bundle/hooks.json"), F_OK), -1);
	serve_ms(50);
	assert_string_equal(topics, "/tasks/create /tasks/start /tasks/exit /tasks/delete ");
}

static void a_poststart_hook_that_fails_ends_it(void **state)
{
	struct answer a, w;

	(void)state;
	put_hooks("true", "exit 4");
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_FAILED_PRECONDITION);
	ask_wait(&w, V2);
	serve_ms(50);
	assert_int_equal(guest.killed_by, 9);
	guest_says(1, "");
	ends(&w, 137);
	serve_ms(50);
	assert_string_equal(topics, "/tasks/create /tasks/exit /tasks/delete ");
}

static void a_hook_that_fails_undoes_all(void **state)
{
	struct answer a;

	(void)state;
	put_hooks("exit 5", "true");
	assert_int_not_equal(create(&a), TTRPC_OK);
	assert_string_equal(a.message, "hook: prestart[0] /bin/sh: ended with status 5");
	assert_non_null(strstr(get("calls"), "qbx-vm start\nqbx-vm stop\npoststop\nqbx-"));
	assert_string_equal(topics, "");
}

static void a_vm_that_ends_ends_its_hook(void **state)
{
	ID_REQUEST(Start, r, START);
	struct answer a, s;

	(void)state;
	put_hooks("true", "exec sleep 1000");
	assert_int_equal(create(&a), TTRPC_OK);
	ask(&s, V3, "Start", &r, &qemubox__task__start_response__descriptor);
	serve_ms(100);
	assert_int_equal(kill(atoi(get("vmpid")), SIGKILL), 0);
	finish(&s);
	assert_int_not_equal(s.code, TTRPC_OK);
	guest_says(1, "");
	serve_ms(700);
	assert_int_equal(delete_task(), TTRPC_OK);
	assert_non_null(strstr(get("calls"), "qbx-vm stop\npoststop\n"));
}

static void delete_stops_a_create(void **state)
{
	ID_REQUEST(Create, r, CREATE);
	struct answer c, d;

	(void)state;
	put("slow-prepare", 0600, "");
	r.bundle = bundle;
	ask(&c, V2, "Create", &r, &qemubox__task__create_response__descriptor);
	serve_ms(100);
	ask_delete(&d);
	finish(&d);
	finish(&c);
	assert_int_equal(d.code, TTRPC_OK);
	assert_non_null(strstr(c.message, "deleted while it was being created"));
	assert_non_null(strstr(get("calls"), "qbx-net del\n"));
}

static void refusals(void **state)
{
	ID_REQUEST(Connect, r, CONNECT);
	Qemubox__Task__ConnectResponse *m;
	struct answer a;

	(void)state;
	assert_int_equal(kill_task(9), TTRPC_NOT_FOUND);
	assert_int_equal(start(), TTRPC_NOT_FOUND);
	ask(&a, V3, "Exec", &r, &qemubox__task__empty__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_NOT_FOUND);
	ask(&a, V3, "Checkpoint", &r, &qemubox__task__empty__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_UNIMPLEMENTED);
	ask(&a, V3, "Connect", &r, &qemubox__task__connect_response__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_OK);
	m = qemubox__task__connect_response__unpack(NULL, a.len, a.packed);
	assert_true(m->shim_pid > 0);
	assert_int_equal(m->task_pid, 0);
	qemubox__task__connect_response__free_unpacked(m, NULL);
	put("bundle/config.json", 0600, "{}");
	assert_int_equal(create(&a), TTRPC_UNIMPLEMENTED);
	assert_non_null(strstr(a.message, "no network namespace"));
	assert_string_equal(get("calls"), "");
}

static void shutdown_spares_containers(void **state)
{
	struct answer a;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	shutdown_shim();
	serve_ms(100);
	assert_int_equal(status_now(), QEMUBOX__TASK__STATUS__CREATED);
	assert_int_equal(delete_task(), TTRPC_OK);
}

/* kill -9 of the shim, then what containerd runs: nothing is left, and the socket goes as well. */
static void delete_needs_no_shim(void **state)
{
	Qemubox__Task__DeleteResponse *d;
	struct proc_output o;
	struct answer a;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	kill(shim_pid(), SIGKILL);
	for (int i = 0; client && i < 100; i++)
		serve_ms(20);
	assert_null(client);
	for (int i = 0; i < 2; i++) { /* twice, as after a normal deletion */
		run_shim("delete", NULL, 0, &o);
		assert_string_equal(o.err, "");
		assert_int_equal(o.status, 0);
		d = qemubox__task__delete_response__unpack(NULL, o.out_len, (uint8_t *)o.out);
		assert_non_null(d);
		assert_int_equal(d->exit_status, 137);
		assert_true(d->exited_at->seconds > 0);
		qemubox__task__delete_response__free_unpacked(d, NULL);
		proc_output_free(&o);
	}
	assert_int_equal(access(address + strlen("unix://"), F_OK), -1);
}

#define SHIM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHIM_TEST(a_life),
		SHIM_TEST(output_reaches_its_reader),
		SHIM_TEST(each_helper_may_fail),
		SHIM_TEST(the_guest_may_refuse),
		SHIM_TEST(undo_may_fail_and_be_repeated),
		SHIM_TEST(a_lost_vm_is_an_exit),
		SHIM_TEST(a_lost_guest_is_an_exit),
		SHIM_TEST(kill_needs_no_guest),
		SHIM_TEST(signals_reach_the_guest),
		SHIM_TEST(hooks_run_at_their_times),
		SHIM_TEST(a_poststart_hook_that_fails_ends_it),
		SHIM_TEST(a_hook_that_fails_undoes_all),
		SHIM_TEST(a_vm_that_ends_ends_its_hook),
		SHIM_TEST(delete_stops_a_create),
		SHIM_TEST(refusals),
		SHIM_TEST(shutdown_spares_containers),
		SHIM_TEST(delete_needs_no_shim),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
