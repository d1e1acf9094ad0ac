/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real shim, between a client and a guest that this test is itself. Scripts stand in for the
 * other commands, so that each can be made to fail; what they were asked for is compared.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "guest.h"
#include "io.h"
#include "json.h"
#include "proc.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define V2 "containerd.task.v2.Task"
#define V3 "containerd.task.v3.Task"

static char dir[64], bundle[96], address[128];
static struct loop *loop;
static struct qbx_err err;
static struct ttrpc_conn *client;

/* ---- files and scripts ---- */

static char *path_of(const char *name)
{
	static char paths[8][160];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, mode_t mode, const char *text)
{
	assert_int_equal(io_write_file(AT_FDCWD, path_of(name), mode, text, strlen(text), &err), 0);
}

static char *get(const char *name)
{
	static char text[4096];
	_cleanup_free_ char *read = NULL;
	size_t len;

	text[0] = '\0';
	if (io_read_file(AT_FDCWD, path_of(name), sizeof(text) - 1, &read, &len, &err) == 0)
		memcpy(text, read, len + 1);
	return text;
}

/* Each notes its verb, fails if it is told to, and else adds its key. */
static const char prologue[] =
	"#!/bin/sh\ncd \"${0%/*}/..\"\necho \"${0##*/} $2\" >> calls\n"
	"if [ -e \"fail-$2\" ]; then\n"
	"  echo '{\"error\":{\"stage\":\"'\"${0##*/}\"'\",\"code\":69,\"errno\":2,"
	"\"message\":\"'\"$2\"' broke\",\"hint\":\"mend it\"}}' >&2; exit 69; fi\n"
	"[ ! -e \"slow-$2\" ] || sleep 1\n";

static const char net_script[] = "[ \"$2\" = add ] || exec cat\nsed 's/}$/,\"net\":{}}/'\n";
static const char fs_script[] =
	"[ \"$2\" = prepare ] || exec cat\n"
	"sed 's/}$/,\"fs\":{\"disks\":[],\"mounts\":[{\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"target\":\"rootfs\",\"options\":[\"mode=0755\"]}]}}/'\n";
static const char vm_script[] =
	"box=run/default--demo\n"
	"case $2 in\n"
	"stop) [ ! -e vmpid ] || kill -9 $(cat vmpid); rm -rf vmpid $box; cat ;;\n"
	"start)\n"
	"  setsid sleep 1000 < /dev/null > /dev/null 2>&1 &\n"
	"  echo $! > vmpid\n"
	"  start=$(cut -d' ' -f22 /proc/$!/stat)\n"
	"  "
	"vm=\"{\\\"uid\\\":$(id "
	"-u),\\\"pid\\\":$!,\\\"start\\\":$start,\\\"vsock\\\":{\\\"transport\\\":\\\"vhost-"
	"user\\\"}}\"\n"
	"  head -c 32 /dev/zero | tr '\\0' t > $box/token\n"
	"  mkdir $box/vsock\n"
	"  ln guest.sock $box/vsock/vsock.sock\n"
	"  echo \"$vm\" > $box/vm.json\n"
	"  : > $box/console.log\n"
	"  sed \"s/}$/,\\\"vm\\\":$vm}/\" ;;\n"
	"esac\n";

static void put_script(const char *name, const char *body)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s%s", prologue, body);
	put(name, 0755, text);
}

static void copy_shim(void)
{
	const char *from = getenv("QBX_BIN");
	char command[512];

	assert_non_null(from);
	snprintf(command, sizeof(command), "cp %s/containerd-shim-qemubox-v1 %s", from,
		 path_of("bin/"));
	assert_int_equal(system(command), 0);
}

/* ---- the guest ---- */

static struct {
	int listener;
	struct ttrpc_conn *control;
	struct ttrpc_call *waiting, *muted;
	struct watch *watch;
	int streams[4]; /* by number */
	bool mute;	/* take Kill, and do nothing */
	unsigned killed_by;
	char stdout_name[32];
	bool fail_create;
	bool told_hooks; /* it got some */
} guest;

static const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

static void guest_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__CreateRequest *r = (const Qemubox__Task__CreateRequest *)request;
	Qemubox__Task__CreateResponse m = QEMUBOX__TASK__CREATE_RESPONSE__INIT;

	(void)arg;
	assert_string_equal(r->id, "demo");
	assert_string_equal(r->options->type_url, GUEST_SPEC_TYPE);
	assert_non_null(memmem(r->options->value.data, r->options->value.len, "\"network\"", 9));
	guest.told_hooks =
		memmem(r->options->value.data, r->options->value.len, "\"hooks\":{\"", 10);
	assert_int_equal(r->n_rootfs, 1);
	assert_string_equal(r->rootfs[0]->options[0], "mode=0755");
	snprintf(guest.stdout_name, sizeof(guest.stdout_name), "%s", r->stdout);
	if (guest.fail_create)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no such command: \001/bin/nope");
	else
		ttrpc_reply(call, &m.base);
}

static void guest_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Task__StartResponse m = QEMUBOX__TASK__START_RESPONSE__INIT;

	(void)request;
	(void)arg;
	m.pid = 77; /* of the guest: containerd must not hear of it */
	ttrpc_reply(call, &m.base);
}

static void guest_exit(unsigned status)
{
	Qemubox__Task__WaitResponse m = QEMUBOX__TASK__WAIT_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(guest.waiting);

	m.exit_status = status;
	ttrpc_reply(call, &m.base);
}

static void guest_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	(void)request;
	(void)arg;
	if (guest.waiting) /* of a container before this one */
		guest_exit(0);
	guest.waiting = call;
}

static void guest_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	(void)arg;
	if (guest.mute) {
		guest.muted = call;
		return;
	}
	guest.killed_by = ((const Qemubox__Task__KillRequest *)request)->signal;
	ttrpc_reply(call, &empty.base);
	guest_exit(128 + guest.killed_by);
}

static const struct ttrpc_method guest_methods[] = {
	{ V3, "Create", &qemubox__task__create_request__descriptor, guest_create },
	{ V3, "Start", &qemubox__task__start_request__descriptor, guest_start },
	{ V3, "Wait", &qemubox__task__wait_request__descriptor, guest_wait },
	{ V3, "Kill", &qemubox__task__kill_request__descriptor, guest_kill },
	{ NULL, NULL, NULL, NULL },
};

static void guest_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)arg;
	(void)conn;
	guest.control = NULL;
}

static void read_exactly(int fd, void *buf, size_t len)
{
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
}

/* What vhost-device-vsock does, then what qbx-init does. */
static void guest_accept(void *arg, uint32_t events)
{
	int fd = accept4(guest.listener, NULL, NULL, SOCK_CLOEXEC);
	char greeting[14], token[GUEST_TOKEN_LEN], want[GUEST_TOKEN_LEN];
	uint32_t number;

	(void)arg;
	(void)events;
	memset(want, 't', sizeof(want));
	read_exactly(fd, greeting, 13);
	greeting[13] = '\0';
	assert_int_equal(send(fd, "OK 9\n", 5, 0), 5);
	read_exactly(fd, token, sizeof(token));
	assert_memory_equal(token, want, sizeof(want));
	if (!strcmp(greeting, "CONNECT 1024\n")) {
		guest.control = ttrpc_new(loop, fd, guest_methods, NULL, guest_closed, NULL, &err);
		assert_non_null(guest.control);
		return;
	}
	assert_string_equal(greeting, "CONNECT 1025\n");
	read_exactly(fd, &number, 4);
	number = ntohl(number);
	assert_true(number >= 1 && number < ARRAY_SIZE(guest.streams));
	guest.streams[number] = fd;
	assert_int_equal(send(fd, "K", 1, 0), 1);
}

static void guest_says(int number, const char *text)
{
	uint32_t len = htonl((uint32_t)strlen(text));

	assert_int_equal(send(guest.streams[number], &len, 4, 0), 4);
	if (*text)
		assert_int_equal(send(guest.streams[number], text, strlen(text), 0), strlen(text));
}

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

/* ---- tests ---- */

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
	struct answer a, w;
	int out;

	(void)state;
	out = open(path_of("out"), O_RDONLY | O_NONBLOCK);
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(&w, V2);
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
	struct answer a, w;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(&w, V2);
	serve_ms(50);
	kill(atoi(get("vmpid")), SIGKILL);
	finish(&w);
	assert_int_equal(waited(&w), 137);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void a_lost_guest_is_an_exit(void **state)
{
	struct answer a, w;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(&w, V2);
	serve_ms(50);
	ttrpc_free(take_ptr(guest.control));
	finish(&w);
	assert_int_equal(waited(&w), 137);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void kill_needs_no_guest(void **state)
{
	struct answer a, w;

	(void)state;
	guest.mute = true;
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(&w, V2);
	assert_int_equal(kill_task(SIGKILL), TTRPC_OK);
	finish(&w);
	assert_int_equal(waited(&w), 137);
	assert_int_equal(delete_task(), TTRPC_OK);
}

static void signals_reach_the_guest(void **state)
{
	struct answer a, w;

	(void)state;
	assert_int_equal(create(&a), TTRPC_OK);
	assert_int_equal(start(), TTRPC_OK);
	ask_wait(&w, V2);
	serve_ms(50);
	assert_int_equal(kill_task(15), TTRPC_OK);
	assert_int_equal(guest.killed_by, 15);
	guest_says(1, "");
	finish(&w);
	assert_int_equal(waited(&w), 143);
	assert_int_equal(delete_task(), TTRPC_OK);
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
	finish(&w);
	assert_int_equal(waited(&w), 137);
	assert_int_equal(delete_task(), TTRPC_OK);
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
