/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestctl.c - the host's side of the guest protocol, one step at a time, for tests
 *
 *   guestctl boot DIR PORT < boot.json   answer the hello of a guest; prints it
 *   guestctl create|run DIR ID CONFIG.json [TYPE,SOURCE,TARGET[,OPTION]...]...
 *   guestctl addexec|exec DIR ID/EXEC PROCESS.json
 *   guestctl start|state|wait|delete|closeio DIR ID[/EXEC]
 *   guestctl kill DIR ID[/EXEC] SIGNAL [all]
 *   guestctl resize DIR ID[/EXEC] WIDTH HEIGHT
 *   guestctl pids|connect|pause|resume|metrics DIR ID
 *   guestctl update DIR ID RESOURCES.json
 *   guestctl shutdown|ping|oom DIR
 *   guestctl clock DIR NANOSECONDS
 *   guestctl stats DIR [grows]
 *   guestctl file DIR ID NUMBER MODE FILE
 *
 * DIR is where vsock/vsock.sock is and where boot leaves the token. run and exec connect their own
 * stdin, stdout and stderr and exit with the process's status. With GUESTCTL_TERMINAL set what is made
 * has a terminal; with GUESTCTL_HOLD run and exec say "created" on stderr and leave the start to
 * somebody else. A call that fails prints "code N: message"; status 99.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "guest.h"
#include "guest.pb-c.h"
#include "io.h"
#include "json.h"
#include "metrics.pb-c.h"
#include "stream.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define FAILED 99
#define PATIENCE_MS 600000u
#define STREAM_NAME 32

/* What goes on in one run of the program. */
struct ctl {
	struct loop *loop;
	struct guest guest;
	struct ttrpc_conn *conn;
	int nargs;
	char **args;
	const char *verb, *exec_id;
	char *id;
	int status;
	struct stream *streams[3];
	uint32_t numbers[3];
	int dialled, draining;
	bool dialling, lost, waited, deleting, broken;
};

static _Noreturn void fatal(const struct qbx_err *err)
{
	fprintf(stderr, "guestctl: %s\n", err->msg);
	exit(FAILED);
}

static void check(int rc, const struct qbx_err *err)
{
	if (rc < 0)
		fatal(err);
}

/* ---- boot ---- */

static int accept_hello(const char *dir, const char *port)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct qbx_err err = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/" GUEST_VSOCK "_%s", dir, port);
	unlink(un.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 1) < 0)
		check(err_sys(&err, errno, "listen on %s", un.sun_path), &err);
	fprintf(stderr, "guestctl: listening\n");
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0)
		check(err_sys(&err, errno, "accept"), &err);
	close(fd);
	return conn;
}

static void read_hello(int fd)
{
	uint8_t buf[GUEST_MESSAGE_MAX];
	Qemubox__Guest__V1__Hello *h;
	uint32_t len;

	if (recv(fd, &len, sizeof(len), MSG_WAITALL) != sizeof(len) || ntohl(len) > sizeof(buf) ||
	    recv(fd, buf, ntohl(len), MSG_WAITALL) != (ssize_t)ntohl(len) ||
	    !(h = qemubox__guest__v1__hello__unpack(NULL, ntohl(len), buf))) {
		fprintf(stderr, "guestctl: no hello\n");
		exit(FAILED);
	}
	printf("{\"version\":%u,\"kernel\":\"%s\",\"boot_us\":%" PRIu64
	       ",\"cpus\":%u,\"memory_kib\":%" PRIu64 "}\n",
	       h->version, h->kernel, h->boot_us, h->cpus, h->memory_kib);
	qemubox__guest__v1__hello__free_unpacked(h, NULL);
}

static size_t strings(json_t *o, const char *key, char ***out)
{
	json_t *list = json_object_get(o, key), *item;
	size_t i;

	*out = calloc(json_array_size(list) + 1, sizeof(char *));
	json_array_foreach (list, i, item)
		(*out)[i] = strdup(json_string_value(item));
	return json_array_size(list);
}

static char *string(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return strdup(s ? s : "");
}

static Qemubox__Guest__V1__Link *make_link(json_t *o)
{
	Qemubox__Guest__V1__Link *l = malloc(sizeof(*l));
	json_t *list = json_object_get(o, "routes"), *item;
	size_t i;

	qemubox__guest__v1__link__init(l);
	l->name = string(o, "name");
	l->mac = string(o, "mac");
	l->set_mac = string(o, "set_mac");
	l->mtu = (uint32_t)json_integer_value(json_object_get(o, "mtu"));
	l->n_addresses = strings(o, "addresses", &l->addresses);
	l->n_routes = json_array_size(list);
	l->routes = calloc(l->n_routes + 1, sizeof(void *));
	json_array_foreach (list, i, item) {
		l->routes[i] = malloc(sizeof(*l->routes[i]));
		qemubox__guest__v1__route__init(l->routes[i]);
		l->routes[i]->dst = string(item, "dst");
		l->routes[i]->gw = string(item, "gw");
	}
	list = json_object_get(o, "neighbours");
	l->n_neighbours = json_array_size(list);
	l->neighbours = calloc(l->n_neighbours + 1, sizeof(void *));
	json_array_foreach (list, i, item) {
		l->neighbours[i] = malloc(sizeof(*l->neighbours[i]));
		qemubox__guest__v1__neighbour__init(l->neighbours[i]);
		l->neighbours[i]->address = string(item, "address");
		l->neighbours[i]->mac = string(item, "mac");
	}
	return l;
}

/* All links of a message. */
static size_t make_links(json_t *o, Qemubox__Guest__V1__Link ***links)
{
	json_t *list = json_object_get(o, "links"), *item;
	size_t i;

	*links = calloc(json_array_size(list) + 1, sizeof(void *));
	json_array_foreach (list, i, item)
		(*links)[i] = make_link(item);
	return json_array_size(list);
}

/* A boot message out of JSON of the same field names, with a fresh token. */
static void send_boot(int fd, json_t *o, uint8_t token[GUEST_TOKEN_LEN])
{
	Qemubox__Guest__V1__Boot b = QEMUBOX__GUEST__V1__BOOT__INIT;
	uint8_t entropy[64], *buf;
	struct timespec now;
	uint32_t len;

	if (getrandom(token, GUEST_TOKEN_LEN, 0) < 0 || getrandom(entropy, sizeof(entropy), 0) < 0)
		exit(FAILED);
	clock_gettime(CLOCK_REALTIME, &now);
	b.token.data = token;
	b.token.len = GUEST_TOKEN_LEN;
	b.entropy.data = entropy;
	b.entropy.len = sizeof(entropy);
	b.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	b.hostname = string(o, "hostname");
	b.error = string(o, "error");
	b.n_nameservers = strings(o, "nameservers", &b.nameservers);
	b.n_search = strings(o, "search", &b.search);
	b.n_links = make_links(o, &b.links);
	len = (uint32_t)qemubox__guest__v1__boot__get_packed_size(&b);
	buf = malloc(len + 4);
	qemubox__guest__v1__boot__pack(&b, buf + 4);
	len = htonl(len);
	memcpy(buf, &len, 4);
	if (io_write_all(fd, buf, ntohl(len) + 4) < 0)
		exit(FAILED);
}

static int boot(const char *dir, const char *port)
{
	struct qbx_err err = { 0 };
	json_t *o = json_read_fd(STDIN_FILENO, "standard input", &err);
	uint8_t token[GUEST_TOKEN_LEN];
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	check(o && dirfd >= 0 ? 0 : -1, &err);
	fd = accept_hello(dir, port);
	read_hello(fd);
	send_boot(fd, o, token);
	check(io_write_file(dirfd, "token", 0600, token, sizeof(token), &err), &err);
	return 0;
}

/* ---- calls ---- */

static void finish(struct ctl *ctl, int status)
{
	ctl->status = status;
	loop_stop(ctl->loop);
}

/* Print the plain fields of a message, one a line; enough for the replies there are. */
static void print_message(const ProtobufCMessage *m, const char *prefix)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const void *at = (const uint8_t *)m + f->offset;

		if (f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE) {
			size_t n = *(const size_t *)((const uint8_t *)m + f->quantifier_offset);

			for (size_t k = 0; k < n; k++)
				print_message((*(ProtobufCMessage ***)at)[k], f->name);
			continue;
		}
		if (f->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage *const *)at)
			print_message(*(ProtobufCMessage *const *)at, f->name);
		else if (f->type == PROTOBUF_C_TYPE_STRING)
			printf("%s%s=%s\n", prefix, f->name, *(char *const *)at);
		else if (f->type == PROTOBUF_C_TYPE_UINT64)
			printf("%s%s=%" PRIu64 "\n", prefix, f->name, *(const uint64_t *)at);
		else if (f->type == PROTOBUF_C_TYPE_INT64)
			printf("%s%s=%" PRId64 "\n", prefix, f->name, *(const int64_t *)at);
		else if (f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_BYTES)
			printf("%s%s=%u\n", prefix, f->name, *(const uint32_t *)at);
	}
}

static void failed(struct ctl *ctl, enum ttrpc_code code, const char *message)
{
	fprintf(stderr, "guestctl: code %d: %s\n", (int)code, message);
	finish(ctl, FAILED);
}

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	if (code != TTRPC_OK) {
		failed(arg, code, message);
		return;
	}
	print_message(reply, "");
	finish(arg, 0);
}

static void task(struct ctl *ctl, const char *method, const ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *reply, ttrpc_done_fn *done)
{
	ttrpc_request(ctl->conn, GUEST_TASK_SERVICE, method, request, PATIENCE_MS, reply, done,
		      ctl);
}

/* ---- create and run ---- */

static Qemubox__Task__Mount *make_mount(char *text)
{
	Qemubox__Task__Mount *m = malloc(sizeof(*m));
	char *save = NULL, *word = strtok_r(text, ",", &save);

	qemubox__task__mount__init(m);
	m->options = calloc(64, sizeof(char *));
	m->type = word;
	m->source = strtok_r(NULL, ",", &save);
	m->target = strtok_r(NULL, ",", &save);
	while (m->n_options < 63 && (word = strtok_r(NULL, ",", &save)))
		m->options[m->n_options++] = word;
	return m;
}

static bool with_terminal(void)
{
	return getenv("GUESTCTL_TERMINAL") != NULL;
}

/* The file that the first argument names, as the value of an Any. Return: what to free. */
static char *read_arg(struct ctl *ctl, Google__Protobuf__Any *any, const char *type)
{
	struct qbx_err err = { 0 };
	char *text;
	size_t len;

	check(io_read_file(AT_FDCWD, ctl->args[0], JSON_FILE_MAX, &text, &len, &err), &err);
	any->type_url = (char *)type;
	any->value.data = (uint8_t *)text;
	any->value.len = len;
	return text;
}

static void name_streams(const struct ctl *ctl, char io[3][STREAM_NAME])
{
	for (int i = 0; i < 3; i++)
		if (ctl->numbers[i])
			snprintf(io[i], STREAM_NAME, GUEST_STREAM_PREFIX "%u", ctl->numbers[i]);
}

static void create(struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__CreateRequest r = QEMUBOX__TASK__CREATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Qemubox__Task__Mount *mounts[64];
	char io[3][STREAM_NAME] = { "", "", "" };
	_cleanup_free_ char *text = read_arg(ctl, &any, GUEST_SPEC_TYPE);

	for (int i = 1; i < ctl->nargs && r.n_rootfs < ARRAY_SIZE(mounts); i++)
		mounts[r.n_rootfs++] = make_mount(ctl->args[i]);
	name_streams(ctl, io);
	r.id = ctl->id;
	r.bundle = (char *)"/host/bundle";
	r.rootfs = mounts;
	r.stdin = io[0];
	r.stdout = io[1];
	r.stderr = io[2];
	r.terminal = with_terminal();
	r.options = &any;
	task(ctl, "Create", &r.base, &qemubox__task__create_response__descriptor, done);
}

static void add_exec(struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__ExecRequest r = QEMUBOX__TASK__EXEC_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	char io[3][STREAM_NAME] = { "", "", "" };
	_cleanup_free_ char *text = read_arg(ctl, &any, GUEST_PROCESS_TYPE);

	name_streams(ctl, io);
	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	r.stdin = io[0];
	r.stdout = io[1];
	r.stderr = io[2];
	r.terminal = with_terminal();
	r.spec = &any;
	task(ctl, "Exec", &r.base, &qemubox__task__empty__descriptor, done);
}

static void on_deleted(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	struct ctl *ctl = arg;

	(void)reply;
	if (code != TTRPC_OK)
		failed(ctl, code, message);
	else if (ctl->broken)
		failed(ctl, TTRPC_UNKNOWN, "output was lost");
	else
		loop_stop(ctl->loop);
}

static void delete (struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__DeleteRequest r = QEMUBOX__TASK__DELETE_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	task(ctl, "Delete", &r.base, &qemubox__task__delete_response__descriptor, done);
}

/* The guest tells the end only after the output, so both ends of the streams are near. */
static void delete_when_over(struct ctl *ctl)
{
	if (!ctl->waited || ctl->deleting || ctl->streams[1] || ctl->streams[2])
		return;
	ctl->deleting = true;
	delete (ctl, on_deleted);
}

static void on_waited(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct ctl *ctl = arg;

	if (code != TTRPC_OK) {
		failed(ctl, code, message);
		return;
	}
	ctl->status = (int)((const Qemubox__Task__WaitResponse *)reply)->exit_status;
	ctl->waited = true;
	delete_when_over(ctl);
}

static void wait_(struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__WaitRequest r = QEMUBOX__TASK__WAIT_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	task(ctl, "Wait", &r.base, &qemubox__task__wait_response__descriptor, done);
}

static void on_started(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	(void)reply;
	if (code != TTRPC_OK)
		failed(arg, code, message);
	else
		wait_(arg, on_waited);
}

static void start(struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__StartRequest r = QEMUBOX__TASK__START_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	task(ctl, "Start", &r.base, &qemubox__task__start_response__descriptor, done);
}

static void on_created(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	(void)reply;
	if (code != TTRPC_OK) {
		failed(arg, code, message);
	} else if (getenv("GUESTCTL_HOLD")) {
		fprintf(stderr, "created\n");
		wait_(arg, on_waited);
	} else {
		start(arg, on_started);
	}
}

static void over(struct ctl *ctl, int n, enum stream_end end)
{
	ctl->streams[n] = NULL;
	ctl->broken |= end == STREAM_BROKEN && n > 0; /* as it is when Create is refused */
	delete_when_over(ctl);
}

static void on_over0(void *arg, enum stream_end end)
{
	over(arg, 0, end);
}

static void on_over1(void *arg, enum stream_end end)
{
	over(arg, 1, end);
}

static void on_over2(void *arg, enum stream_end end)
{
	over(arg, 2, end);
}

static void dial_next(struct ctl *ctl);

static void on_stream(void *arg, int fd, const struct qbx_err *failure)
{
	static stream_done_fn *const done[] = { on_over0, on_over1, on_over2 };
	const struct qbx_err lost = { .msg = "the control connection is lost" };
	struct ctl *ctl = arg;
	struct qbx_err err = { 0 };
	int n = ctl->dialled++, local;

	ctl->dialling = false;
	if (fd < 0 || ctl->lost)
		fatal(fd < 0 ? failure : &lost);
	local = fcntl(n, F_DUPFD_CLOEXEC, 10);
	ctl->streams[n] = n == 0 ? stream_send(ctl->loop, local, fd, done[n], ctl, &err)
				 : stream_recv(ctl->loop, fd, local, done[n], ctl, &err);
	check(ctl->streams[n] ? 0 : -1, &err);
	dial_next(ctl);
}

static void dial_next(struct ctl *ctl)
{
	struct qbx_err err = { 0 };
	int n = ctl->dialled;

	if (n == (with_terminal() ? 2 : 3)) {
		if (ctl->exec_id[0])
			add_exec(ctl, on_created);
		else
			create(ctl, on_created);
		return;
	}
	ctl->numbers[n] = ((uint32_t)getpid() << 2 | (uint32_t)n) + 4;
	if (!guest_dial(ctl->loop, &ctl->guest, GUEST_PORT_STREAM, ctl->numbers[n], 10000,
			on_stream, ctl, &err))
		fatal(&err);
	ctl->dialling = true;
}

/* ---- the rest ---- */

static void kill_(struct ctl *ctl)
{
	Qemubox__Task__KillRequest r = QEMUBOX__TASK__KILL_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	r.signal = ctl->nargs ? (uint32_t)atoi(ctl->args[0]) : 9;
	r.all = ctl->nargs > 1;
	task(ctl, "Kill", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void state(struct ctl *ctl)
{
	Qemubox__Task__StateRequest r = QEMUBOX__TASK__STATE_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	task(ctl, "State", &r.base, &qemubox__task__state_response__descriptor, on_answer);
}

static void pids(struct ctl *ctl)
{
	Qemubox__Task__PidsRequest r = QEMUBOX__TASK__PIDS_REQUEST__INIT;

	r.id = ctl->id;
	task(ctl, "Pids", &r.base, &qemubox__task__pids_response__descriptor, on_answer);
}

static void connect_(struct ctl *ctl)
{
	Qemubox__Task__ConnectRequest r = QEMUBOX__TASK__CONNECT_REQUEST__INIT;

	r.id = ctl->id;
	task(ctl, "Connect", &r.base, &qemubox__task__connect_response__descriptor, on_answer);
}

static void closeio(struct ctl *ctl)
{
	Qemubox__Task__CloseIORequest r = QEMUBOX__TASK__CLOSE_IOREQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	r.stdin = 1;
	task(ctl, "CloseIO", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void pause_(struct ctl *ctl)
{
	Qemubox__Task__PauseRequest r = QEMUBOX__TASK__PAUSE_REQUEST__INIT;

	r.id = ctl->id;
	task(ctl, "Pause", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void resume(struct ctl *ctl)
{
	Qemubox__Task__ResumeRequest r = QEMUBOX__TASK__RESUME_REQUEST__INIT;

	r.id = ctl->id;
	task(ctl, "Resume", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void resize(struct ctl *ctl)
{
	Qemubox__Task__ResizePtyRequest r = QEMUBOX__TASK__RESIZE_PTY_REQUEST__INIT;

	r.id = ctl->id;
	r.exec_id = (char *)ctl->exec_id;
	r.width = (uint32_t)atoi(ctl->args[0]);
	r.height = (uint32_t)atoi(ctl->args[1]);
	task(ctl, "ResizePty", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void update(struct ctl *ctl)
{
	Qemubox__Task__UpdateRequest r = QEMUBOX__TASK__UPDATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	_cleanup_free_ char *text = read_arg(ctl, &any, GUEST_RESOURCES_TYPE);

	r.id = ctl->id;
	r.resources = &any;
	task(ctl, "Update", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void on_metrics(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	const Google__Protobuf__Any *any;
	Qemubox__Metrics__Metrics *m;

	if (code != TTRPC_OK) {
		failed(arg, code, message);
		return;
	}
	any = ((const Qemubox__Task__StatsResponse *)reply)->stats;
	m = qemubox__metrics__metrics__unpack(NULL, any->value.len, any->value.data);
	if (!m) {
		failed(arg, TTRPC_UNKNOWN, "what came is no metrics");
		return;
	}
	printf("type_url=%s\n", any->type_url);
	print_message(&m->base, "");
	qemubox__metrics__metrics__free_unpacked(m, NULL);
	finish(arg, 0);
}

static void metrics(struct ctl *ctl)
{
	Qemubox__Task__StatsRequest r = QEMUBOX__TASK__STATS_REQUEST__INIT;

	r.id = ctl->id;
	task(ctl, "Stats", &r.base, &qemubox__task__stats_response__descriptor, on_metrics);
}

static void guest(struct ctl *ctl, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *reply)
{
	ttrpc_request(ctl->conn, GUEST_SERVICE, method, request, PATIENCE_MS, reply, on_answer,
		      ctl);
}

static void shutdown_(struct ctl *ctl)
{
	Qemubox__Guest__V1__ShutdownRequest r = QEMUBOX__GUEST__V1__SHUTDOWN_REQUEST__INIT;

	guest(ctl, "Shutdown", &r.base, &qemubox__guest__v1__shutdown_response__descriptor);
}

static void ping(struct ctl *ctl)
{
	Qemubox__Guest__V1__PingRequest r = QEMUBOX__GUEST__V1__PING_REQUEST__INIT;

	guest(ctl, "Ping", &r.base, &qemubox__guest__v1__ping_response__descriptor);
}

static void oom(struct ctl *ctl)
{
	Qemubox__Guest__V1__AwaitOomRequest r = QEMUBOX__GUEST__V1__AWAIT_OOM_REQUEST__INIT;

	guest(ctl, "AwaitOom", &r.base, &qemubox__guest__v1__await_oom_response__descriptor);
}

/* The verbs of the guest as a whole have their argument where others have an id. */
static void clock_(struct ctl *ctl)
{
	Qemubox__Guest__V1__AdjustClockRequest r = QEMUBOX__GUEST__V1__ADJUST_CLOCK_REQUEST__INIT;

	r.offset_ns = strtoll(ctl->id, NULL, 10);
	guest(ctl, "AdjustClock", &r.base, &qemubox__guest__v1__adjust_clock_response__descriptor);
}

static void stats(struct ctl *ctl)
{
	Qemubox__Guest__V1__StatsRequest r = QEMUBOX__GUEST__V1__STATS_REQUEST__INIT;

	r.memory_grows = ctl->id[0] != '\0';
	guest(ctl, "Stats", &r.base, &qemubox__guest__v1__stats_response__descriptor);
}

/* ---- verbs ---- */

/* The file is as that of boot. */
static void network(struct ctl *ctl)
{
	Qemubox__Guest__V1__SetNetworkRequest r = QEMUBOX__GUEST__V1__SET_NETWORK_REQUEST__INIT;
	json_t *o = json_load_file(ctl->args[0], 0, NULL);

	r.n_links = make_links(o, &r.links);
	r.n_nameservers = strings(o, "nameservers", &r.nameservers);
	r.n_search = strings(o, "search", &r.search);
	ttrpc_request(ctl->conn, GUEST_SERVICE, "SetNetwork", &r.base, PATIENCE_MS,
		      &qemubox__guest__v1__set_network_response__descriptor, on_answer, ctl);
}

/* NUMBER, MODE in octal, and a file that holds the contents. */
static void file(struct ctl *ctl)
{
	Qemubox__Guest__V1__WriteFileRequest r = QEMUBOX__GUEST__V1__WRITE_FILE_REQUEST__INIT;
	struct qbx_err err = { 0 };
	char *text;

	if (io_read_file(AT_FDCWD, ctl->args[2], 4u << 20, &text, &r.content.len, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		exit(FAILED);
	}
	r.content.data = (uint8_t *)text;
	r.id = ctl->id;
	r.number = (uint32_t)strtoul(ctl->args[0], NULL, 10);
	r.mode = (uint32_t)strtoul(ctl->args[1], NULL, 8);
	r.uid = 12;
	r.gid = 34;
	ttrpc_request(ctl->conn, GUEST_SERVICE, "WriteFile", &r.base, PATIENCE_MS,
		      &qemubox__guest__v1__write_file_response__descriptor, on_answer, ctl);
	free(text);
}

static void run_create(struct ctl *ctl)
{
	create(ctl, on_answer);
}

static void run_add_exec(struct ctl *ctl)
{
	add_exec(ctl, on_answer);
}

static void run_start(struct ctl *ctl)
{
	start(ctl, on_answer);
}

static void run_wait(struct ctl *ctl)
{
	wait_(ctl, on_answer);
}

static void run_delete(struct ctl *ctl)
{
	delete (ctl, on_answer);
}

static const struct verb {
	const char *name;
	int nargs; /* after the id */
	void (*run)(struct ctl *ctl);
} verbs[] = {
	{ "run", 1, dial_next },     { "exec", 1, dial_next },
	{ "create", 1, run_create }, { "addexec", 1, run_add_exec },
	{ "start", 0, run_start },   { "wait", 0, run_wait },
	{ "delete", 0, run_delete }, { "kill", 1, kill_ },
	{ "state", 0, state },	     { "pids", 0, pids },
	{ "connect", 0, connect_ },  { "closeio", 0, closeio },
	{ "resize", 2, resize },     { "pause", 0, pause_ },
	{ "resume", 0, resume },     { "metrics", 0, metrics },
	{ "update", 1, update },     { "shutdown", 0, shutdown_ },
	{ "stats", 0, stats },	     { "ping", 0, ping },
	{ "oom", 0, oom },	     { "clock", 0, clock_ },
	{ "network", 1, network },   { "file", 3, file },
};

static void on_lost(void *arg, struct ttrpc_conn *conn)
{
	struct ctl *ctl = arg;

	(void)conn;
	ctl->conn = NULL;
	ctl->lost = true;
	if (ctl->dialling) /* one who leaves half-way takes the daemon along */
		return;
	if (ctl->status)
		loop_stop(ctl->loop);
	else
		finish(ctl, FAILED);
}

static void on_control(void *arg, int fd, const struct qbx_err *failure)
{
	struct ctl *ctl = arg;
	struct qbx_err err = { 0 };

	if (fd < 0)
		fatal(failure);
	ctl->conn = ttrpc_new(ctl->loop, fd, NULL, NULL, on_lost, ctl, &err);
	check(ctl->conn ? 0 : -1, &err);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, ctl->verb) || ctl->nargs < verbs[i].nargs)
			continue;
		verbs[i].run(ctl);
		return;
	}
	finish(ctl, EX_USAGE);
}

/* "ID/EXEC": what stands behind the slash. */
static const char *split_exec(char *id)
{
	char *slash = strchr(id, '/');

	if (!slash)
		return "";
	*slash = '\0';
	return slash + 1;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .nargs = argc > 4 ? argc - 4 : 0, .args = argv + 4 };
	struct qbx_err err = { 0 };
	_cleanup_free_ char *token = NULL;
	size_t len = 0;

	if (argc < 3)
		return EX_USAGE;
	if (!strcmp(argv[1], "boot") && argc == 4)
		return boot(argv[2], argv[3]);
	ctl.verb = argv[1];
	ctl.id = argc > 3 ? argv[3] : (char *)"";
	ctl.exec_id = split_exec(ctl.id);
	ctl.loop = loop_new(&err);
	ctl.guest.dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(io_read_file(ctl.guest.dirfd, "token", GUEST_TOKEN_LEN, &token, &len, &err), &err);
	memcpy(ctl.guest.token, token, len);
	if (!guest_dial(ctl.loop, &ctl.guest, GUEST_PORT_CONTROL, 0, 10000, on_control, &ctl, &err))
		fatal(&err);
	check(loop_run(ctl.loop, &err), &err);
	ttrpc_free(ctl.conn);
	return ctl.status;
}
