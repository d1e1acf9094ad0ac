/* SPDX-License-Identifier: Apache-2.0 */
/* Events: in order, one at a time, also when containerd is away for a while. */
#include "unit.h"

#include "qbx-shim/events.c"

static char path[64], seen[256];
static struct loop *loop;
static struct events *ev;
static struct qbx_err err;
static struct ttrpc_conn *conn;
static struct watch *listening;
static int listener = -1, refuse, idle;
static struct ttrpc_call *held; /* with hold set: not answered yet */
static int hold;

static void on_forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ForwardRequest *r = (const Qemubox__Task__ForwardRequest *)request;
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;
	size_t len = strlen(seen);

	(void)arg;
	assert_string_equal(r->envelope->namespace_, "ns");
	assert_true(r->envelope->timestamp->seconds > 0);
	assert_string_equal(r->envelope->event->type_url, "type");
	snprintf(seen + len, sizeof(seen) - len, "%s ", r->envelope->topic);
	if (refuse)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no");
	else if (hold)
		held = call;
	else
		ttrpc_reply(call, &empty.base);
}

static const struct ttrpc_method methods[] = {
	{ SERVICE, "Forward", &qemubox__task__forward_request__descriptor, on_forward },
	{ NULL, NULL, NULL, NULL },
};

static void on_gone(void *arg, struct ttrpc_conn *c)
{
	(void)arg;
	(void)c;
	conn = NULL;
}

static void on_accept(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
	conn = ttrpc_new(loop, accept4(listener, NULL, NULL, SOCK_CLOEXEC), methods, NULL, on_gone,
			 NULL, &err);
	assert_non_null(conn);
}

static void containerd_comes(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(listener, 8), 0);
	listening = loop_add_fd(loop, listener, EPOLLIN, on_accept, NULL, &err);
	assert_non_null(listening);
}

static void containerd_goes(void)
{
	ttrpc_free(take_ptr(conn));
	loop_remove(take_ptr(listening));
	if (listener >= 0)
		close(take_fd(&listener));
	unlink(path);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_shim_events.%d", (int)getpid());
	seen[0] = '\0';
	refuse = idle = hold = 0;
	loop = loop_new(&err);
	ev = events_new(loop, path, "ns", &err);
	return ev ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	events_free(ev);
	containerd_goes();
	loop_free(loop);
	return 0;
}

static void publish(const char *topic)
{
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	events_publish(ev, topic, "type", &empty.base);
}

static void on_idle(void *arg)
{
	(void)arg;
	idle++;
	loop_stop(loop);
}

static void until_idle(void)
{
	events_on_idle(ev, on_idle, NULL);
	if (!idle)
		assert_int_equal(loop_run(loop, &err), 0);
	assert_int_equal(idle, 1);
}

static void in_order(void **state)
{
	(void)state;
	containerd_comes();
	publish("/a");
	publish("/b");
	publish("/c");
	until_idle();
	assert_string_equal(seen, "/a /b /c ");
}

static void containerd_may_be_away(void **state)
{
	(void)state;
	publish("/a");
	publish("/b");
	assert_int_equal(ev->tries, 1);
	containerd_comes();
	until_idle();
	assert_string_equal(seen, "/a /b ");
}

static void go_now(void *arg)
{
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	(void)arg;
	containerd_goes();
	ttrpc_reply(held, &empty.base); /* into nothing */
	hold = 0;
	containerd_comes();
}

/* What was not answered is sent again to the next containerd. */
static void containerd_may_restart(void **state)
{
	(void)state;
	hold = 1;
	containerd_comes();
	publish("/a");
	publish("/b");
	assert_non_null(loop_add_timer(loop, 100, go_now, NULL, &err));
	until_idle();
	assert_string_equal(seen, "/a /a /b ");
}

static void a_refusal_is_final(void **state)
{
	(void)state;
	refuse = 1;
	containerd_comes();
	publish("/a");
	publish("/b");
	until_idle();
	assert_string_equal(seen, "/a /b ");
}

static void the_queue_is_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EVENTS_MAX + 5; i++)
		publish(i < 5 ? "/old" : "/new");
	assert_int_equal(ev->count, EVENTS_MAX);
	assert_string_equal(ev->first->topic, "/new");
}

static void without_an_address(void **state)
{
	struct events *none = events_new(loop, NULL, "ns", &err);
	const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

	(void)state;
	events_publish(none, "/a", "type", &empty.base);
	events_on_idle(none, on_idle, NULL);
	assert_int_equal(idle, 1);
	events_free(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(containerd_may_be_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(containerd_may_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_is_final, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_queue_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_an_address, set_up, tear_down),
	};

	log_open("test", LOG_LEVEL_ERROR, STDERR_FILENO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
