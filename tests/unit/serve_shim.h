/* SPDX-License-Identifier: Apache-2.0 */
/* serve_shim.h - for test_shim_serve.c: a shim for each test, and what containerd asks of it */
#ifndef SERVE_SHIM_H
#define SERVE_SHIM_H

#include "serve_guest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "io.h"
#include "json.h"
#include "proc.h"
#include "task.pb-c.h"
#include "ttrpc.h"

/* ---- containerd's side ---- */

static char topics[256];

static void on_forward(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__ForwardRequest *r = (const Qemubox__Task__ForwardRequest *)request;
	size_t len = strlen(topics);

	(void)arg;
	assert_string_equal(r->envelope->namespace_, "default");
	snprintf(topics + len, sizeof(topics) - len, "%s ", r->envelope->topic);
	ttrpc_reply(call, &empty.base);
}

static const struct ttrpc_method event_methods[] = {
	{ "containerd.services.events.ttrpc.v1.Events", "Forward",
	  &qemubox__task__forward_request__descriptor, on_forward },
	{ NULL, NULL, NULL, NULL },
};

static int events_listener;
static struct ttrpc_conn *events_conn;

static void nothing_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)conn;
	*(struct ttrpc_conn **)arg = NULL;
}

static void events_accept(void *arg, uint32_t events)
{
	int fd = accept4(events_listener, NULL, NULL, SOCK_CLOEXEC);

	(void)arg;
	(void)events;
	events_conn = ttrpc_new(loop, fd, event_methods, NULL, nothing_closed, &events_conn, &err);
	assert_non_null(events_conn);
}

static int listen_at(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path_of(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* One call and its answer. */
struct answer {
	int done;
	enum ttrpc_code code;
	char message[512];
	uint8_t packed[4096];
	size_t len;
};

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct answer *a = arg;

	a->done = 1;
	a->code = code;
	snprintf(a->message, sizeof(a->message), "%s", message);
	a->len = reply ? protobuf_c_message_pack(reply, a->packed) : 0;
	loop_stop(loop);
}

static void ask(struct answer *a, const char *service, const char *method, const void *request,
		const ProtobufCMessageDescriptor *reply)
{
	a->done = 0;
	ttrpc_request(client, service, method, request, 20000, reply, on_answer, a);
}

static void finish(struct answer *a)
{
	while (!a->done)
		assert_int_equal(loop_run(loop, &err), 0);
}

static void tick(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Serve the shim for a while. */
static void serve_ms(unsigned ms)
{
	assert_non_null(loop_add_timer(loop, ms, tick, NULL, &err));
	assert_int_equal(loop_run(loop, &err), 0);
}

#define ID_REQUEST(type, var, upper)                                                 \
	Qemubox__Task__##type##Request var = QEMUBOX__TASK__##upper##_REQUEST__INIT; \
	(var).id = (char *)"demo"

static enum ttrpc_code create(struct answer *a)
{
	ID_REQUEST(Create, r, CREATE);
	Qemubox__Task__Mount mount = QEMUBOX__TASK__MOUNT__INIT, *mounts[] = { &mount };

	mount.type = (char *)"bind";
	mount.source = (char *)"/srv";
	r.bundle = bundle;
	r.stdout = path_of("out");
	r.n_rootfs = 1;
	r.rootfs = mounts;
	ask(a, V2, "Create", &r, &qemubox__task__create_response__descriptor);
	finish(a);
	return a->code;
}

static enum ttrpc_code start(void)
{
	ID_REQUEST(Start, r, START);
	struct answer a;

	ask(&a, V3, "Start", &r, &qemubox__task__start_response__descriptor);
	finish(&a);
	return a.code;
}

static void ask_wait(struct answer *a, const char *service)
{
	ID_REQUEST(Wait, r, WAIT);

	ask(a, service, "Wait", &r, &qemubox__task__wait_response__descriptor);
}

static unsigned waited(const struct answer *a)
{
	Qemubox__Task__WaitResponse *m;
	unsigned status;

	assert_int_equal(a->code, TTRPC_OK);
	m = qemubox__task__wait_response__unpack(NULL, a->len, a->packed);
	assert_true(m->exited_at && m->exited_at->seconds > 0);
	status = m->exit_status;
	qemubox__task__wait_response__free_unpacked(m, NULL);
	return status;
}

static Qemubox__Task__Status status_now(void)
{
	ID_REQUEST(State, r, STATE);
	Qemubox__Task__StateResponse *m;
	Qemubox__Task__Status status;
	struct answer a;

	ask(&a, V2, "State", &r, &qemubox__task__state_response__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_OK);
	m = qemubox__task__state_response__unpack(NULL, a.len, a.packed);
	status = m->status;
	assert_string_equal(m->bundle, bundle);
	qemubox__task__state_response__free_unpacked(m, NULL);
	return status;
}

static enum ttrpc_code kill_task(unsigned sig)
{
	ID_REQUEST(Kill, r, KILL);
	struct answer a;

	r.signal = sig;
	ask(&a, V2, "Kill", &r, &qemubox__task__empty__descriptor);
	finish(&a);
	return a.code;
}

static void ask_delete(struct answer *a)
{
	ID_REQUEST(Delete, r, DELETE);

	ask(a, V2, "Delete", &r, &qemubox__task__delete_response__descriptor);
}

static enum ttrpc_code delete_task(void)
{
	struct answer a;

	ask_delete(&a);
	finish(&a);
	return a.code;
}

static void shutdown_shim(void)
{
	ID_REQUEST(Shutdown, r, SHUTDOWN);
	struct answer a;

	ask(&a, V3, "Shutdown", &r, &qemubox__task__empty__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_OK);
}

/* ---- one shim a test ---- */

static void run_shim(const char *action, const char *input, size_t len, struct proc_output *o)
{
	const char *argv[] = { path_of("bin/containerd-shim-qemubox-v1"),
			       "-namespace",
			       "default",
			       "-address",
			       "/run/c.sock",
			       "-id",
			       "demo",
			       action,
			       NULL };
	const struct proc_spec spec = { .argv = argv, .cwd = bundle, .netns = -1 };

	assert_int_equal(proc_run(&spec, input, len, 65536, 10000, o, &err), 0);
}

static pid_t shim_pid(void)
{
	ID_REQUEST(Connect, r, CONNECT);
	Qemubox__Task__ConnectResponse *m;
	struct answer a;
	pid_t pid;

	ask(&a, V2, "Connect", &r, &qemubox__task__connect_response__descriptor);
	finish(&a);
	assert_int_equal(a.code, TTRPC_OK);
	m = qemubox__task__connect_response__unpack(NULL, a.len, a.packed);
	pid = (pid_t)m->shim_pid;
	qemubox__task__connect_response__free_unpacked(m, NULL);
	return pid;
}

static void start_shim(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct proc_output o;
	char params[256];
	json_t *j;
	int fd, n;

	n = snprintf(params, sizeof(params),
		     "\x0a\x04"
		     "demo\x12\x07"
		     "default\x4a%c%s",
		     (int)strlen(path_of("s")), path_of("s"));
	run_shim("start", params, (size_t)n, &o);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	j = json_parse(o.out, o.out_len, "start", &err);
	assert_non_null(j);
	assert_int_equal(json_integer_value(json_object_get(j, "version")), 2);
	snprintf(address, sizeof(address), "%s", json_string_value(json_object_get(j, "address")));
	assert_string_equal(get("bundle/address"), address);
	json_decref(j);
	proc_output_free(&o);

	assert_true(strlen(address) < sizeof(un.sun_path));
	memcpy(un.sun_path, address + strlen("unix://"), strlen(address) - strlen("unix://"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	client = ttrpc_new(loop, fd, NULL, NULL, nothing_closed, &client, &err);
	assert_non_null(client);
}

static int set_up(void **state)
{
	static const char *const dirs[] = { "bin", "run", "bundle", "bundle/rootfs", "log" };

	(void)state;
	memset(&guest, 0, sizeof(guest));
	topics[0] = '\0';
	snprintf(dir, sizeof(dir), "/tmp/test_shim.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(path_of(dirs[i]), 0755) < 0)
			return -1;
	snprintf(bundle, sizeof(bundle), "%s/bundle", dir);
	copy_shim();
	put_script("bin/qbx-net", net_script);
	put_script("bin/qbx-fs", fs_script);
	put_script("bin/qbx-vm", vm_script);
	put("bundle/config.json", 0600, "{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}");
	put("config.json", 0600, "{}");
	if (mkfifo(path_of("out"), 0600) < 0)
		return -1;
	setenv("QEMUBOX_CONFIG", path_of("config.json"), 1);
	setenv("QEMUBOX_RUN_DIR", path_of("run"), 1);
	setenv("QEMUBOX_LOG_DIR", path_of("log"), 1);
	setenv("TTRPC_ADDRESS", path_of("events.sock"), 1);
	loop = loop_new(&err);
	guest.listener = listen_at("guest.sock");
	events_listener = listen_at("events.sock");
	if (!loop_add_fd(loop, guest.listener, EPOLLIN, guest_accept, NULL, &err) ||
	    !loop_add_fd(loop, events_listener, EPOLLIN, events_accept, NULL, &err))
		return -1;
	start_shim();
	return 0;
}

/* Whatever happened, Shutdown without containers ends the shim and its socket. */
static int tear_down(void **state)
{
	pid_t pid;

	(void)state;
	if (client) {
		pid = shim_pid();
		shutdown_shim();
		for (int i = 0; client && i < 100; i++)
			serve_ms(20);
		if (client) /* a test has failed half-way: do not leave it behind */
			kill(pid, SIGKILL);
		assert_null(client);
		assert_int_equal(access(address + strlen("unix://"), F_OK), -1);
	}
	assert_int_equal(access(path_of("run/default--demo"), F_OK), -1);
	assert_int_equal(access(path_of("vmpid"), F_OK), -1);
	ttrpc_free(guest.control);
	if (guest.waiting) /* answered into nothing */
		guest_exit(0);
	if (guest.muted)
		ttrpc_reply(guest.muted, &empty.base);
	ttrpc_free(events_conn);
	events_conn = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(guest.streams); i++)
		if (guest.streams[i])
			close(guest.streams[i]);
	close(guest.listener);
	close(events_listener);
	loop_free(loop);
	return io_remove_tree(AT_FDCWD, dir, &err);
}

#endif
