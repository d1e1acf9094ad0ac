/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door.c - ports 1024 and 1025, and who may come in
 *
 * Theory of Operation
 *
 * A connection begins as a visitor: it has DOOR_MS to show the token, and on the stream port a
 * stream number. Only the host (CID 2) gets that far; when there are VISITORS_MAX the others wait in
 * the kernel's queue. With the token shown, a connection on the control port becomes a ttrpc server;
 * one on the stream port is parked until a Create or Exec names its number, for PARK_MS at most.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>

#include "init.h"
#include "log.h"

#define VISITORS_MAX 64u
#define QUEUE_MAX 1024 /* connections that nobody has looked at */
#define CONNS_MAX 128u
#define PARKED_MAX 768u /* three of each of 256 processes that are about to be made */
#define DOOR_MS 5000u
#define PARK_MS 30000u

struct visitor {
	struct visitor *next;
	struct vm *vm;
	bool stream;
	int fd;
	struct watch *watch, *timer;
	size_t have;
	uint8_t said[GUEST_TOKEN_LEN + 4]; /* the token, and a stream's number */
};

struct parked {
	struct parked *next;
	struct vm *vm;
	uint32_t number;
	int fd;
	struct watch *timer;
};

/* ---- parked streams ---- */

/* Take a stream out of the list. Return: its descriptor. */
static int unpark(struct parked **at)
{
	struct parked *p = *at;
	int fd = p->fd;

	*at = p->next;
	p->vm->nparked--;
	loop_remove(p->timer);
	free(p);
	return fd;
}

static struct parked **find_parked(struct vm *vm, uint32_t number)
{
	struct parked **at = &vm->parked;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void on_unclaimed(void *arg)
{
	struct parked *p = arg;

	log_warn("stream %u: nobody claimed it", p->number);
	p->timer = NULL;
	close(unpark(find_parked(p->vm, p->number)));
}

int door_claim(struct vm *vm, uint32_t stream)
{
	struct parked **at = find_parked(vm, stream);

	return *at ? unpark(at) : -1;
}

static int park(struct vm *vm, int fd, uint32_t number, struct qbx_err *err)
{
	struct parked *p;
	char ok = GUEST_STREAM_OK;

	if (number == 0 || *find_parked(vm, number))
		return err_code(err, EX_DATAERR, "stream %u: zero or taken", number);
	if (vm->nparked >= PARKED_MAX)
		return err_code(err, EX_TEMPFAIL, "stream %u: %u wait already", number, PARKED_MAX);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_sys(err, ENOMEM, "stream %u", number);
	p->timer = loop_add_timer(vm->loop, PARK_MS, on_unclaimed, p, err);
	/* One byte always fits into a connection that has carried nothing yet. */
	if (!p->timer || send(fd, &ok, 1, MSG_NOSIGNAL) != 1) {
		if (p->timer)
			err_sys(err, errno, "stream %u: answer", number);
		loop_remove(p->timer);
		free(p);
		return -1;
	}
	p->vm = vm;
	p->number = number;
	p->fd = fd;
	p->next = vm->parked;
	vm->parked = p;
	vm->nparked++;
	return 0;
}

/* ---- control connections ---- */

static void on_control_closed(void *arg, struct ttrpc_conn *conn)
{
	struct vm *vm = arg;

	vm->nconns--;
	shutdown_closed(vm, conn);
}

static int serve(struct vm *vm, int fd, struct qbx_err *err)
{
	if (vm->nconns >= CONNS_MAX) {
		close(fd);
		return err_code(err, EX_TEMPFAIL, "control: %u connections already", CONNS_MAX);
	}
	if (!ttrpc_new(vm->loop, fd, task_methods, vm, on_control_closed, vm, err))
		return -1;
	vm->nconns++;
	return 0;
}

/* ---- visitors ---- */

/* While the house is full nobody comes in. */
static void mind_doors(const struct vm *vm)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm->doors); i++)
		loop_set_events(vm->doors[i], vm->nvisitors < VISITORS_MAX ? EPOLLIN : 0);
}

/* Forget a visitor. Return: its descriptor. */
static int see_off(struct visitor *v)
{
	struct visitor **at = &v->vm->visitors;
	int fd = v->fd;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	v->vm->nvisitors--;
	mind_doors(v->vm);
	loop_remove(v->watch);
	loop_remove(v->timer);
	free(v);
	return fd;
}

static void on_visitor_late(void *arg)
{
	struct visitor *v = arg;

	log_warn("port %u: no token in time", v->stream ? GUEST_PORT_STREAM : GUEST_PORT_CONTROL);
	v->timer = NULL;
	close(see_off(v));
}

/* The time that this takes says nothing about where the two differ. */
static bool token_matches(const uint8_t *a, const uint8_t *b)
{
	volatile uint8_t differ = 0;

	for (size_t i = 0; i < GUEST_TOKEN_LEN; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

static void let_in(struct visitor *v)
{
	struct vm *vm = v->vm;
	bool stream = v->stream, known = token_matches(v->said, vm->token);
	struct qbx_err err = { 0 };
	uint32_t number;
	int fd;

	memcpy(&number, v->said + GUEST_TOKEN_LEN, sizeof(number));
	fd = see_off(v);
	if (!known) {
		log_warn("port %u: wrong token", stream ? GUEST_PORT_STREAM : GUEST_PORT_CONTROL);
		close(fd);
	} else if (stream) {
		if (park(vm, fd, ntohl(number), &err) < 0) {
			log_warn("%s", err.msg);
			close(fd);
		}
	} else if (serve(vm, fd, &err) < 0) {
		log_warn("%s", err.msg);
	}
}

/* Exactly what was asked for: the bytes after it are somebody else's. */
static void on_visitor(void *arg, uint32_t events)
{
	struct visitor *v = arg;
	size_t want = GUEST_TOKEN_LEN + (v->stream ? 4 : 0);
	ssize_t n = recv(v->fd, v->said + v->have, want - v->have, 0);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close(see_off(v));
		return;
	}
	v->have += (size_t)n;
	if (v->have == want)
		let_in(v);
}

static void welcome(struct vm *vm, int fd, bool stream)
{
	struct visitor *v = calloc(1, sizeof(*v));
	struct qbx_err err = { 0 };

	if (!v) {
		close(fd);
		return;
	}
	v->vm = vm;
	v->fd = fd;
	v->stream = stream;
	v->next = vm->visitors;
	vm->visitors = v;
	vm->nvisitors++;
	mind_doors(vm);
	v->watch = loop_add_fd(vm->loop, fd, EPOLLIN, on_visitor, v, &err);
	if (v->watch)
		v->timer = loop_add_timer(vm->loop, DOOR_MS, on_visitor_late, v, &err);
	if (!v->timer) {
		log_warn("%s", err.msg);
		close(see_off(v));
	}
}

static void on_knock(struct vm *vm, int listener, bool stream)
{
	struct sockaddr_vm peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (peer.svm_cid != VMADDR_CID_HOST) {
		log_warn("port %u: turned CID %u away",
			 stream ? GUEST_PORT_STREAM : GUEST_PORT_CONTROL, peer.svm_cid);
		close(fd);
		return;
	}
	welcome(vm, fd, stream);
}

/* ---- the two doors ---- */

struct door {
	struct vm *vm;
	int fd;
	bool stream;
};

static void on_door(void *arg, uint32_t events)
{
	struct door *d = arg;

	(void)events;
	on_knock(d->vm, d->fd, d->stream);
}

static int open_one(struct vm *vm, unsigned port, struct qbx_err *err)
{
	struct sockaddr_vm any = { .svm_family = AF_VSOCK,
				   .svm_cid = VMADDR_CID_ANY,
				   .svm_port = port };
	_cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct door *d;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
	    listen(fd, QUEUE_MAX) < 0)
		return err_sys(err, errno, "listen on vsock port %u", port);
	d = malloc(sizeof(*d));
	if (!d)
		return err_sys(err, ENOMEM, "listen on vsock port %u", port);
	*d = (struct door){ vm, fd, port == GUEST_PORT_STREAM };
	vm->doors[d->stream] = loop_add_fd(vm->loop, fd, EPOLLIN, on_door, d, err);
	if (!vm->doors[d->stream]) {
		free(d);
		return -1;
	}
	(void)take_fd(&fd); /* the door lasts as long as the machine */
	return 0;
}

int door_open(struct vm *vm, struct qbx_err *err)
{
	if (open_one(vm, GUEST_PORT_CONTROL, err) < 0)
		return -1;
	return open_one(vm, GUEST_PORT_STREAM, err);
}
