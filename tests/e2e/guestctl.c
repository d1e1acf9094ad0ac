/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestctl.c - the host's side of the guest protocol, one step at a time, for tests
 *
 *   guestctl boot DIR PORT < boot.json   answer the hello of a guest; prints it
 *   guestctl create|run DIR ID CONFIG.json [TYPE,SOURCE,TARGET[,OPTION]...]...
 *   guestctl start|state|wait|pids|delete|closeio|connect DIR ID
 *   guestctl kill DIR ID SIGNAL [all]
 *   guestctl shutdown DIR
 *   guestctl stats DIR [grows]
 *
 * DIR is where vsock/vsock.sock is and where boot leaves the token. run connects its own stdin, stdout
 * and stderr and exits with the container's status. A call that fails prints "code N: message";
 * status 99.
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
#include "stream.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define FAILED 99
#define PATIENCE_MS 600000u

/* What goes on in one run of the program. */
struct ctl {
	struct loop *loop;
	struct guest guest;
	struct ttrpc_conn *conn;
	int nargs;
	char **args;
	const char *verb, *id;
	int status;
	struct stream *streams[3];
	uint32_t numbers[3];
	int dialled, draining;
	bool waited, broken;
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
	return l;
}

/* A boot message out of JSON of the same field names, with a fresh token. */
static void send_boot(int fd, json_t *o, uint8_t token[GUEST_TOKEN_LEN])
{
	Qemubox__Guest__V1__Boot b = QEMUBOX__GUEST__V1__BOOT__INIT;
	json_t *links = json_object_get(o, "links"), *item;
	uint8_t entropy[64], *buf;
	struct timespec now;
	uint32_t len;
	size_t i;

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
	b.n_links = json_array_size(links);
	b.links = calloc(b.n_links + 1, sizeof(void *));
	json_array_foreach (links, i, item)
		b.links[i] = make_link(item);
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

static void create(struct ctl *ctl, ttrpc_done_fn *done)
{
	Qemubox__Task__CreateRequest r = QEMUBOX__TASK__CREATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Qemubox__Task__Mount *mounts[64];
	struct qbx_err err = { 0 };
	char io[3][32] = { "", "", "" };
	_cleanup_free_ char *text = NULL;
	size_t len;

	check(io_read_file(AT_FDCWD, ctl->args[0], JSON_FILE_MAX, &text, &len, &err), &err);
	for (int i = 1; i < ctl->nargs && r.n_rootfs < ARRAY_SIZE(mounts); i++)
		mounts[r.n_rootfs++] = make_mount(ctl->args[i]);
	for (int i = 0; i < 3; i++)
		if (ctl->numbers[i])
			snprintf(io[i], sizeof(io[i]), GUEST_STREAM_PREFIX "%u", ctl->numbers[i]);
	any.type_url = (char *)GUEST_SPEC_TYPE;
	any.value.data = (uint8_t *)text;
	any.value.len = len;
	r.id = (char *)ctl->id;
	r.bundle = (char *)"/host/bundle";
	r.rootfs = mounts;
	r.stdin = io[0];
	r.stdout = io[1];
	r.stderr = io[2];
	r.terminal = getenv("GUESTCTL_TERMINAL") != NULL;
	r.options = &any;
	task(ctl, "Create", &r.base, &qemubox__task__create_response__descriptor, done);
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

	r.id = (char *)ctl->id;
	task(ctl, "Delete", &r.base, &qemubox__task__delete_response__descriptor, done);
}

/* The guest tells the end only after the output, so both ends of the streams are near. */
static void delete_when_over(struct ctl *ctl)
{
	if (ctl->waited && !ctl->streams[1] && !ctl->streams[2])
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

	r.id = (char *)ctl->id;
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

	r.id = (char *)ctl->id;
	task(ctl, "Start", &r.base, &qemubox__task__start_response__descriptor, done);
}

static void on_created(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		       const char *message)
{
	(void)reply;
	if (code != TTRPC_OK)
		failed(arg, code, message);
	else
		start(arg, on_started);
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
	struct ctl *ctl = arg;
	struct qbx_err err = { 0 };
	int n = ctl->dialled++, local;

	if (fd < 0)
		fatal(failure);
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

	if (n == 3) {
		create(ctl, on_created);
		return;
	}
	ctl->numbers[n] = ((uint32_t)getpid() << 2 | (uint32_t)n) + 4;
	if (!guest_dial(ctl->loop, &ctl->guest, GUEST_PORT_STREAM, ctl->numbers[n], 10000,
			on_stream, ctl, &err))
		fatal(&err);
}

/* ---- the rest ---- */

static void kill_(struct ctl *ctl)
{
	Qemubox__Task__KillRequest r = QEMUBOX__TASK__KILL_REQUEST__INIT;

	r.id = (char *)ctl->id;
	r.signal = ctl->nargs ? (uint32_t)atoi(ctl->args[0]) : 9;
	r.all = ctl->nargs > 1;
	task(ctl, "Kill", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void state(struct ctl *ctl)
{
	Qemubox__Task__StateRequest r = QEMUBOX__TASK__STATE_REQUEST__INIT;

	r.id = (char *)ctl->id;
	task(ctl, "State", &r.base, &qemubox__task__state_response__descriptor, on_answer);
}

static void pids(struct ctl *ctl)
{
	Qemubox__Task__PidsRequest r = QEMUBOX__TASK__PIDS_REQUEST__INIT;

	r.id = (char *)ctl->id;
	task(ctl, "Pids", &r.base, &qemubox__task__pids_response__descriptor, on_answer);
}

static void connect_(struct ctl *ctl)
{
	Qemubox__Task__ConnectRequest r = QEMUBOX__TASK__CONNECT_REQUEST__INIT;

	r.id = (char *)ctl->id;
	task(ctl, "Connect", &r.base, &qemubox__task__connect_response__descriptor, on_answer);
}

static void closeio(struct ctl *ctl)
{
	Qemubox__Task__CloseIORequest r = QEMUBOX__TASK__CLOSE_IOREQUEST__INIT;

	r.id = (char *)ctl->id;
	r.stdin = 1;
	task(ctl, "CloseIO", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void pause_(struct ctl *ctl)
{
	Qemubox__Task__PidsRequest r = QEMUBOX__TASK__PIDS_REQUEST__INIT;

	r.id = (char *)ctl->id;
	task(ctl, "Pause", &r.base, &qemubox__task__empty__descriptor, on_answer);
}

static void shutdown_(struct ctl *ctl)
{
	Qemubox__Guest__V1__ShutdownRequest r = QEMUBOX__GUEST__V1__SHUTDOWN_REQUEST__INIT;

	ttrpc_request(ctl->conn, GUEST_SERVICE, "Shutdown", &r.base, PATIENCE_MS,
		      &qemubox__guest__v1__shutdown_response__descriptor, on_answer, ctl);
}

static void stats(struct ctl *ctl)
{
	Qemubox__Guest__V1__StatsRequest r = QEMUBOX__GUEST__V1__STATS_REQUEST__INIT;

	r.memory_grows = ctl->id[0] != '\0';
	ttrpc_request(ctl->conn, GUEST_SERVICE, "Stats", &r.base, PATIENCE_MS,
		      &qemubox__guest__v1__stats_response__descriptor, on_answer, ctl);
}

static void on_lost(void *arg, struct ttrpc_conn *conn)
{
	struct ctl *ctl = arg;

	(void)conn;
	ctl->conn = NULL;
	if (ctl->status)
		loop_stop(ctl->loop);
	else
		finish(ctl, FAILED);
}

static void on_control(void *arg, int fd, const struct qbx_err *failure)
{
	struct ctl *ctl = arg;
	struct qbx_err err = { 0 };
	const char *v = ctl->verb;

	if (fd < 0)
		fatal(failure);
	ctl->conn = ttrpc_new(ctl->loop, fd, NULL, NULL, on_lost, ctl, &err);
	check(ctl->conn ? 0 : -1, &err);
	if (!strcmp(v, "run"))
		dial_next(ctl);
	else if (!strcmp(v, "create"))
		create(ctl, on_answer);
	else if (!strcmp(v, "start"))
		start(ctl, on_answer);
	else if (!strcmp(v, "wait"))
		wait_(ctl, on_answer);
	else if (!strcmp(v, "delete"))
		delete (ctl, on_answer);
	else if (!strcmp(v, "kill"))
		kill_(ctl);
	else if (!strcmp(v, "state"))
		state(ctl);
	else if (!strcmp(v, "pids"))
		pids(ctl);
	else if (!strcmp(v, "connect"))
		connect_(ctl);
	else if (!strcmp(v, "closeio"))
		closeio(ctl);
	else if (!strcmp(v, "pause"))
		pause_(ctl);
	else if (!strcmp(v, "shutdown"))
		shutdown_(ctl);
	else if (!strcmp(v, "stats"))
		stats(ctl);
	else
		finish(ctl, EX_USAGE);
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
	ctl.id = argc > 3 ? argv[3] : "";
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
