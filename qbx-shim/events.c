/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - tell containerd what happens to tasks, in order */
#include "events.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "log.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define SERVICE "containerd.services.events.ttrpc.v1.Events"
#define FORWARD_MS 5000u /* for containerd to take one event */
#define RETRY_MS 250u	 /* before the second try; doubled for each later one */

struct event {
	struct event *next;
	const char *topic, *type;
	struct timespec at;
	size_t len;
	uint8_t data[];
};

/*
 * idle -> sending (ttrpc_request() waits for its answer) -> idle, or waiting (for the timer, after
 * a failure) -> sending
 */
struct events {
	struct loop *loop;
	const char *address, *namespace;
	struct ttrpc_conn *conn;
	struct event *first, **tail;
	unsigned count, tries; /* tries: of the first one */
	bool sending;
	struct watch *timer;
	loop_fn *idle;
	void *idle_arg;
};

static void send_first(struct events *ev);

struct events *events_new(struct loop *loop, const char *address, const char *namespace,
			  struct qbx_err *err)
{
	struct events *ev = calloc(1, sizeof(*ev));

	if (!ev) {
		err_sys(err, ENOMEM, "publish events");
		return NULL;
	}
	ev->loop = loop;
	ev->address = address;
	ev->namespace = namespace;
	ev->tail = &ev->first;
	return ev;
}

static void drop_first(struct events *ev)
{
	struct event *e = ev->first;

	ev->first = e->next;
	if (!ev->first)
		ev->tail = &ev->first;
	ev->count--;
	ev->tries = 0;
	free(e);
}

void events_free(struct events *ev)
{
	if (!ev)
		return;
	ev->idle = NULL;
	loop_remove(ev->timer);
	ev->timer = NULL;
	while (ev->first)
		drop_first(ev);
	ttrpc_free(ev->conn); /* calls on_forwarded() for what was under way */
	free(ev);
}

static void become_idle(struct events *ev)
{
	loop_fn *fn = ev->idle;

	ev->idle = NULL;
	if (fn)
		fn(ev->idle_arg);
}

static void on_timer(void *arg)
{
	struct events *ev = arg;

	ev->timer = NULL;
	send_first(ev);
}

/* The first one could not be delivered. */
static void again_later(struct events *ev, const char *why)
{
	struct qbx_err err = { 0 };

	ev->tries++;
	if (ev->tries >= EVENTS_TRIES) {
		log_warn("event %s is dropped after %u tries: %s", ev->first->topic, ev->tries,
			 why);
		drop_first(ev);
	}
	if (!ev->first) {
		become_idle(ev);
		return;
	}
	ev->timer = loop_add_timer(ev->loop, RETRY_MS << (ev->tries ? ev->tries - 1 : 0), on_timer,
				   ev, &err);
	if (!ev->timer)
		log_error("events wait for the next one: %s", err.msg);
}

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)conn;
	((struct events *)arg)->conn = NULL;
}

static int transient(enum ttrpc_code code)
{
	return code == TTRPC_UNAVAILABLE || code == TTRPC_DEADLINE_EXCEEDED;
}

static void on_forwarded(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			 const char *message)
{
	struct events *ev = arg;

	(void)reply;
	ev->sending = false;
	if (!ev->first) /* being freed, or dropped meanwhile */
		return;
	if (transient(code)) {
		ttrpc_free(ev->conn); /* a late answer must not be taken for the next one's */
		ev->conn = NULL;
		again_later(ev, message);
		return;
	}
	if (code != TTRPC_OK)
		log_warn("containerd refused event %s: %s", ev->first->topic, message);
	drop_first(ev);
	if (ev->first)
		send_first(ev);
	else
		become_idle(ev);
}

/* A socket of this kind connects at once, or not at all. Return: 0, or -1 with @err. */
static int connect_to_containerd(struct events *ev, struct qbx_err *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(ev->address) >= sizeof(un.sun_path))
		return err_sys(err, ENAMETOOLONG, "connect to %s", ev->address);
	memcpy(un.sun_path, ev->address, strlen(ev->address) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return err_sys(err, errno, "connect to %s", ev->address);
	ev->conn = ttrpc_new(ev->loop, take_fd(&fd), NULL, NULL, on_closed, ev, err);
	return ev->conn ? 0 : -1;
}

static void send_first(struct events *ev)
{
	Qemubox__Task__ForwardRequest request = QEMUBOX__TASK__FORWARD_REQUEST__INIT;
	Qemubox__Task__Envelope envelope = QEMUBOX__TASK__ENVELOPE__INIT;
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	struct event *e = ev->first;
	struct qbx_err err = { 0 };

	if (!ev->conn && connect_to_containerd(ev, &err) < 0) {
		again_later(ev, err.msg);
		return;
	}
	at.seconds = e->at.tv_sec;
	at.nanos = (int32_t)e->at.tv_nsec;
	any.type_url = (char *)e->type;
	any.value.len = e->len;
	any.value.data = e->data;
	envelope.timestamp = &at;
	envelope.namespace_ = (char *)ev->namespace;
	envelope.topic = (char *)e->topic;
	envelope.event = &any;
	request.envelope = &envelope;
	ev->sending = true;
	ttrpc_request(ev->conn, SERVICE, "Forward", &request.base, FORWARD_MS,
		      &qemubox__task__empty__descriptor, on_forwarded, ev);
}

/* Room for one more: the oldest that is not under way gives way. */
static void make_room(struct events *ev)
{
	struct event **at = ev->sending ? &ev->first->next : &ev->first;
	struct event *oldest = *at;

	if (ev->count < EVENTS_MAX || !oldest)
		return;
	log_warn("event %s is dropped: %u others wait", oldest->topic, ev->count);
	*at = oldest->next;
	if (!*at)
		ev->tail = at;
	ev->count--;
	free(oldest);
}

void events_publish(struct events *ev, const char *topic, const char *type,
		    const ProtobufCMessage *event)
{
	size_t len = protobuf_c_message_get_packed_size(event);
	struct event *e;

	if (!ev->address)
		return;
	make_room(ev);
	e = malloc(sizeof(*e) + len);
	if (!e) {
		log_error("event %s is lost: out of memory", topic);
		return;
	}
	*e = (struct event){ .topic = topic, .type = type, .len = len };
	clock_gettime(CLOCK_REALTIME, &e->at);
	protobuf_c_message_pack(event, e->data);
	*ev->tail = e;
	ev->tail = &e->next;
	ev->count++;
	if (!ev->sending && !ev->timer)
		send_first(ev);
}

void events_on_idle(struct events *ev, loop_fn *fn, void *arg)
{
	if (!ev->first) {
		fn(arg);
		return;
	}
	ev->idle = fn;
	ev->idle_arg = arg;
}
