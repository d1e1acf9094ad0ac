/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shimctl.c - a small client of the task API, for what ctr has no command for, in tests
 *
 *   shimctl call [-2] [-t] SOCKET METHOD [FIELD=VALUE]... [, METHOD [FIELD=VALUE]...]...
 *       calls one after another on one connection; prints the fields of each reply, and with -t
 *       "ms=N", how long it took. A field that is an Any gets VALUE as its type and standard input
 *       as its value. -2: of the task service's version 2
 *   shimctl update SOCKET ID < resources.json
 *       the same as: call SOCKET Update id=ID resources=...LinuxResources
 *   shimctl waits SOCKET ID CALLS CONNECTIONS
 *       so many Waits on each of so many connections at once; prints "waiting" when the shim has all
 *       of them, then how many were answered with which status
 *   shimctl raw SOCKET STEP...
 *       frames as they should not be; prints "STREAM CODE" for each response that is read:
 *         call:STREAM:SERVICE/METHOD   a request without a payload
 *         id:STREAM:METHOD:ID          one of the task service, whose payload names a task
 *         payload:STREAM:METHOD:HEX    one whose payload is that
 *         bytes:HEX                    these, as they are
 *         zeros:N                      so many of these
 *         read:N                       read so many responses
 *       and closes after the last
 *
 * A call that fails prints "code N: message"; status 99.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest.h"
#include "io.h"
#include "json.h"
#include "task.pb-c.h"
#include "ttrpc.h"
#include "ttrpc.pb-c.h"

#define FAILED 99
#define SERVICE "containerd.task.v3.Task"
#define SERVICE_2 "containerd.task.v2.Task"

static const struct method {
	const char *name;
	const ProtobufCMessageDescriptor *request, *reply;
} methods[] = {
#define METHOD(name, request, reply)                           \
	{                                                      \
		name, &qemubox__task__##request##__descriptor, \
			&qemubox__task__##reply##__descriptor, \
	}
	METHOD("Create", create_request, create_response),
	METHOD("Start", start_request, start_response),
	METHOD("Wait", wait_request, wait_response),
	METHOD("State", state_request, state_response),
	METHOD("Kill", kill_request, empty),
	METHOD("Delete", delete_request, delete_response),
	METHOD("Connect", connect_request, connect_response),
	METHOD("CloseIO", close_iorequest, empty),
	METHOD("Pids", pids_request, pids_response),
	METHOD("Update", update_request, empty),
	METHOD("Shutdown", shutdown_request, empty),
	METHOD("Exec", exec_request, empty),
	METHOD("ResizePty", resize_pty_request, empty),
	METHOD("Pause", pause_request, empty),
	METHOD("Resume", resume_request, empty),
	METHOD("Stats", stats_request, stats_response),
#undef METHOD
};

static struct loop *loop;

static _Noreturn void fatal(const char *what, const char *why)
{
	fprintf(stderr, "shimctl: %s: %s\n", what, why);
	exit(FAILED);
}

static int dial(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		fatal(path, strerror(errno));
	return fd;
}

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)arg;
	(void)conn;
	exit(FAILED); /* the call that waited has failed, and said so */
}

static struct ttrpc_conn *connect_to(const char *path)
{
	struct qbx_err err = { 0 };
	struct ttrpc_conn *conn;

	if (!loop)
		loop = loop_new(&err);
	conn = loop ? ttrpc_new(loop, dial(path), NULL, NULL, on_closed, NULL, &err) : NULL;
	if (!conn)
		fatal(path, err.msg);
	return conn;
}

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	fatal(name, "no method that is known here");
}

/* ---- messages ---- */

static Google__Protobuf__Any *any_of(const char *type)
{
	static char *text;
	static size_t len;
	Google__Protobuf__Any *any = malloc(sizeof(*any));
	struct qbx_err err = { 0 };

	if (!text && io_read_all(STDIN_FILENO, JSON_FILE_MAX, "stdin", &text, &len, &err) < 0)
		fatal("stdin", err.msg);
	google__protobuf__any__init(any);
	any->type_url = (char *)type;
	any->value.data = (uint8_t *)text;
	any->value.len = len;
	return any;
}

static void set_field(ProtobufCMessage *m, char *pair)
{
	char *value = strchr(pair, '=');
	const ProtobufCFieldDescriptor *f;
	void *at;

	if (!value)
		fatal(pair, "not FIELD=VALUE");
	*value++ = '\0';
	f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, pair);
	if (!f || f->label == PROTOBUF_C_LABEL_REPEATED)
		fatal(pair, "no field that can be set");
	at = (char *)m + f->offset;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		*(char **)at = value;
	else if (f->type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)at = !strcmp(value, "true");
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		*(Google__Protobuf__Any **)at = any_of(value);
	else
		*(uint32_t *)at = (uint32_t)strtoul(value, NULL, 10);
}

static ProtobufCMessage *make_request(const ProtobufCMessageDescriptor *of)
{
	ProtobufCMessage *m = calloc(1, of->sizeof_message);

	protobuf_c_message_init(of, m);
	return m;
}

static void print_message(const ProtobufCMessage *m, const char *prefix);

static void print_field(const ProtobufCFieldDescriptor *f, const void *at, const char *prefix)
{
	char nested[80];

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		printf("%s%s=%s\n", prefix, f->name, *(char *const *)at);
		break;
	case PROTOBUF_C_TYPE_INT64:
		printf("%s%s=%" PRId64 "\n", prefix, f->name, *(const int64_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		printf("%s%s=%" PRIu64 "\n", prefix, f->name, *(const uint64_t *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		printf("%s%s=%zu bytes\n", prefix, f->name, ((const ProtobufCBinaryData *)at)->len);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		snprintf(nested, sizeof(nested), "%s%s.", prefix, f->name);
		if (*(ProtobufCMessage *const *)at)
			print_message(*(ProtobufCMessage *const *)at, nested);
		break;
	default:
		printf("%s%s=%" PRIu32 "\n", prefix, f->name, *(const uint32_t *)at);
	}
}

/* One field a line; of lists, each of those in them. */
static void print_message(const ProtobufCMessage *m, const char *prefix)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *base = (const char *)m;

		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			print_field(f, base + f->offset, prefix);
			continue;
		}
		for (size_t k = 0; k < *(const size_t *)(base + f->quantifier_offset); k++)
			print_field(f, *(char *const *)(base + f->offset) + k * sizeof(void *),
				    prefix);
	}
}

/* ---- call ---- */

struct calls {
	struct ttrpc_conn *conn;
	const char *service;
	char **args; /* of the calls that are left */
	bool timed;
	unsigned long long begun;
};

static void next_call(struct calls *c);

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct calls *c = arg;

	if (c->timed)
		printf("ms=%llu\n", (io_now_us() - c->begun) / 1000);
	if (code != TTRPC_OK) {
		fflush(stdout);
		fprintf(stderr, "shimctl: code %d: %s\n", (int)code, message);
		exit(FAILED);
	}
	print_message(reply, "");
	fflush(stdout);
	next_call(c);
}

static void next_call(struct calls *c)
{
	const struct method *method;
	ProtobufCMessage *request;

	if (!*c->args) {
		loop_stop(loop);
		return;
	}
	method = find_method(*c->args++);
	request = make_request(method->request);
	for (; *c->args && strcmp(*c->args, ",") != 0; c->args++)
		set_field(request, *c->args);
	c->args += *c->args ? 1 : 0;
	c->begun = io_now_us();
	ttrpc_request(c->conn, c->service, method->name, request, 0, method->reply, on_answer, c);
	free(request);
}

static int call(char **args)
{
	struct calls c = { .service = SERVICE };
	struct qbx_err err = { 0 };

	for (; *args && (*args)[0] == '-'; args++) {
		if (!strcmp(*args, "-2"))
			c.service = SERVICE_2;
		else
			c.timed = true;
	}
	if (!args[0] || !args[1])
		return EX_USAGE;
	c.conn = connect_to(args[0]);
	c.args = args + 1;
	next_call(&c);
	if (loop_run(loop, &err) < 0)
		fatal("loop", err.msg);
	ttrpc_free(c.conn);
	return 0;
}

static int update(char **args)
{
	char id[200], resources[200];
	char *as_call[] = { args[0], (char[]){ "Update" }, id, resources, NULL };

	if (!args[0] || !args[1] || args[2])
		return EX_USAGE;
	snprintf(id, sizeof(id), "id=%s", args[1]);
	snprintf(resources, sizeof(resources), "resources=%s", GUEST_RESOURCES_TYPE);
	return call(as_call);
}

/* ---- waits ---- */

struct waits {
	unsigned sent, parked, conns, answered;
	unsigned long status[256]; /* how many were answered with each */
};

static void on_parked(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct waits *w = arg;

	(void)reply;
	if (code != TTRPC_OK)
		fatal("Connect", message);
	if (++w->parked < w->conns)
		return;
	printf("waiting\n");
	fflush(stdout);
}

static void on_waited(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct waits *w = arg;

	if (code != TTRPC_OK)
		fatal("Wait", message);
	w->status[((const Qemubox__Task__WaitResponse *)reply)->exit_status & 0xff]++;
	if (++w->answered == w->sent)
		loop_stop(loop);
}

/* What is asked last on a connection is answered when all before it has been read. */
static int waits(char **args)
{
	Qemubox__Task__ConnectRequest last = QEMUBOX__TASK__CONNECT_REQUEST__INIT;
	Qemubox__Task__WaitRequest wait = QEMUBOX__TASK__WAIT_REQUEST__INIT;
	struct qbx_err err = { 0 };
	struct waits w = { 0 };
	unsigned calls;

	for (int i = 0; i < 4; i++)
		if (!args[i])
			return EX_USAGE;
	wait.id = last.id = args[1];
	calls = (unsigned)atoi(args[2]);
	w.conns = (unsigned)atoi(args[3]);
	for (unsigned k = 0; k < w.conns; k++) {
		struct ttrpc_conn *conn = connect_to(args[0]);

		for (unsigned i = 0; i < calls; i++, w.sent++)
			ttrpc_request(conn, SERVICE, "Wait", &wait.base, 0,
				      &qemubox__task__wait_response__descriptor, on_waited, &w);
		ttrpc_request(conn, SERVICE, "Connect", &last.base, 0,
			      &qemubox__task__connect_response__descriptor, on_parked, &w);
	}
	if (loop_run(loop, &err) < 0)
		fatal("loop", err.msg);
	for (size_t i = 0; i < ARRAY_SIZE(w.status); i++)
		if (w.status[i])
			printf("%lu with status %zu\n", w.status[i], i);
	return 0;
}

/* ---- raw ---- */

/* The next word of a step, up to a colon, which goes. */
static char *word(char **step)
{
	char *w = strsep(step, ":");

	if (!w)
		fatal("raw", "a step lacks a word");
	return w;
}

static void put(int fd, const void *data, size_t len)
{
	if (len && send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		fatal("send", strerror(errno));
}

static size_t from_hex(char *hex)
{
	size_t n = 0;

	for (const char *at = hex; at[0] && at[1]; at += 2, n++) {
		const char digits[] = { at[0], at[1], '\0' };

		hex[n] = (char)strtoul(digits, NULL, 16);
	}
	return n;
}

static void put_request(int fd, const char *stream, const char *service, const char *method,
			const void *payload, size_t len)
{
	Qemubox__Ttrpc__Request r = QEMUBOX__TTRPC__REQUEST__INIT;
	struct ttrpc_header h = { .stream = (uint32_t)strtoul(stream, NULL, 10),
				  .type = TTRPC_TYPE_REQUEST };
	uint8_t buf[TTRPC_HEADER_LEN + 4096];

	r.service = (char *)service;
	r.method = (char *)method;
	r.payload.data = (uint8_t *)payload;
	r.payload.len = len;
	h.len = (uint32_t)qemubox__ttrpc__request__get_packed_size(&r);
	if (h.len > sizeof(buf) - TTRPC_HEADER_LEN)
		fatal(method, "too long");
	ttrpc_header_encode(buf, &h);
	qemubox__ttrpc__request__pack(&r, buf + TTRPC_HEADER_LEN);
	put(fd, buf, TTRPC_HEADER_LEN + h.len);
}

static void put_zeros(int fd, size_t n)
{
	static const char zeros[65536];

	for (size_t len; n > 0; n -= len) {
		len = n < sizeof(zeros) ? n : sizeof(zeros);
		put(fd, zeros, len);
	}
}

/* Read a response and print it. Return: false at the end. */
static bool get_response(int fd)
{
	uint8_t head[TTRPC_HEADER_LEN], *data;
	Qemubox__Ttrpc__Response *r;
	struct ttrpc_header h;

	if (recv(fd, head, sizeof(head), MSG_WAITALL) != sizeof(head))
		return false;
	ttrpc_header_decode(head, &h);
	if (h.len > TTRPC_DATA_MAX || h.type != TTRPC_TYPE_RESPONSE)
		fatal("response", "no such thing");
	data = malloc(h.len + 1);
	if (recv(fd, data, h.len, MSG_WAITALL) != (ssize_t)h.len ||
	    !(r = qemubox__ttrpc__response__unpack(NULL, h.len, data)))
		fatal("response", "cut off, or none");
	printf("%u %d\n", h.stream, r->status ? r->status->code : 0);
	qemubox__ttrpc__response__free_unpacked(r, NULL);
	free(data);
	return true;
}

static void step_call(int fd, char *rest)
{
	char *stream = word(&rest), *slash = strchr(rest ? rest : "", '/');

	if (!slash)
		fatal("call", "not SERVICE/METHOD");
	*slash = '\0';
	put_request(fd, stream, rest, slash + 1, NULL, 0);
}

static void step_id(int fd, char *rest)
{
	char *stream = word(&rest), *method = word(&rest);
	Qemubox__Task__StateRequest state = QEMUBOX__TASK__STATE_REQUEST__INIT;
	uint8_t payload[1024];

	state.id = word(&rest); /* the first field of every request */
	if (qemubox__task__state_request__get_packed_size(&state) > sizeof(payload))
		fatal("id", "too long");
	put_request(fd, stream, SERVICE, method, payload,
		    qemubox__task__state_request__pack(&state, payload));
}

static void step_payload(int fd, char *rest)
{
	char *stream = word(&rest), *method = word(&rest), *hex = word(&rest);

	put_request(fd, stream, SERVICE, method, hex, from_hex(hex));
}

static void step_bytes(int fd, char *rest)
{
	char *hex = word(&rest);

	put(fd, hex, from_hex(hex));
}

static void step_zeros(int fd, char *rest)
{
	put_zeros(fd, strtoul(word(&rest), NULL, 10));
}

static void step_read(int fd, char *rest)
{
	for (unsigned long n = strtoul(word(&rest), NULL, 10); n > 0; n--)
		if (!get_response(fd))
			fatal("read", "the shim has closed");
}

static const struct {
	const char *name;
	void (*run)(int fd, char *rest);
} steps[] = {
	{ "call", step_call },	 { "id", step_id },	  { "payload", step_payload },
	{ "bytes", step_bytes }, { "zeros", step_zeros }, { "read", step_read },

};

static int raw(char **args)
{
	int fd;

	if (!args[0])
		return EX_USAGE;
	fd = dial(*args++);
	for (; *args; args++) {
		char *rest = *args, *name = word(&rest);
		size_t i = 0;

		while (i < ARRAY_SIZE(steps) && strcmp(steps[i].name, name) != 0)
			i++;
		if (i == ARRAY_SIZE(steps))
			fatal(name, "no such step");
		steps[i].run(fd, rest);
		fflush(stdout);
	}
	close(fd);
	return 0;
}

/* ---- */

static const struct {
	const char *name;
	int (*run)(char **args);
} verbs[] = {
	{ "call", call },
	{ "update", update },
	{ "waits", waits },
	{ "raw", raw },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, argv[1]))
			return verbs[i].run(argv + 2);
	return EX_USAGE;
}
