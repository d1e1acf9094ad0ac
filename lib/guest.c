/* SPDX-License-Identifier: Apache-2.0 */
/* guest.c - the way into a running VM */
#include "guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "sock.h"

/*
 * vhost-device-vsock 0.3.0 loses its thread, and the VM all its connections, when the "OK" that it writes
 * meets a socket that was closed meanwhile. So a dial that nobody wants any more is left to hear it.
 */
#define LINGER_MS 60000u

/*
 * DIAL_CONNECT (AF_VSOCK only) -> DIAL_GREET: what must be said first is going out
 * -> DIAL_LINE (vhost-user only): "OK <port>\n" is awaited -> DIAL_TOKEN: going out
 * -> DIAL_ACK (streams only): GUEST_STREAM_OK is awaited -> done
 */
enum dial_state { DIAL_CONNECT, DIAL_GREET, DIAL_LINE, DIAL_TOKEN, DIAL_ACK };

struct dial {
	struct loop *loop;
	enum dial_state state;
	int fd;
	int by_path; /* through vhost-device-vsock's socket */
	unsigned port;
	struct watch *watch, *timer;
	bool over; /* the other side has hung up */
	guest_dialled_fn *fn;
	void *arg;
	char greeting[32];
	uint8_t token[GUEST_TOKEN_LEN + 4];
	const void *out; /* what is going out, and how much is left */
	size_t left, token_len;
	char line[32];
	size_t line_len;
};

int guest_open(struct guest *g, const struct config *cfg, const struct box *box,
	       struct qbx_err *err)
{
	json_t *vm = json_object_get(box->doc, "vm");
	_cleanup_free_ char *token = NULL;
	const char *transport = NULL;
	json_error_t je;
	json_int_t uid = 0;
	int cid = 0;
	size_t len;

	g->dirfd = -1;
	if (!vm)
		return err_code(err, EX_DATAERR, "box %s: no \"vm\" key: not started", box->key);
	if (json_unpack_ex(vm, &je, 0, "{s?I, s:{s:s, s?i}}", "uid", &uid, "vsock", "transport",
			   &transport, "cid", &cid) < 0)
		return err_code(err, EX_DATAERR, "box %s: vm: %s", box->key, je.text);
	if (!strcmp(transport, "vhost-vsock") ? cid <= VMADDR_CID_HOST : cid != 0)
		return err_code(err, EX_DATAERR, "box %s: vm: vsock cid %d", box->key, cid);
	if (uid < 0 || uid > UINT32_MAX)
		return err_code(err, EX_DATAERR, "box %s: vm: uid %" JSON_INTEGER_FORMAT, box->key,
				uid);
	g->cid = (unsigned)cid;
	g->uid = (unsigned)uid;
	g->dirfd = box_dir_open(cfg, box, 0, err);
	if (g->dirfd < 0)
		return -1;
	if (io_read_file(g->dirfd, "token", GUEST_TOKEN_LEN, &token, &len, err) < 0) {
		guest_close(g);
		return err_wrap(err, "box %s", box->key);
	}
	if (len != GUEST_TOKEN_LEN) {
		guest_close(g);
		return err_code(err, EX_DATAERR, "box %s: token has %zu bytes", box->key, len);
	}
	memcpy(g->token, token, len);
	return 0;
}

void guest_close(struct guest *g)
{
	if (g->dirfd >= 0)
		close(take_fd(&g->dirfd));
}

static void dial_free(struct dial *d)
{
	loop_remove(d->watch);
	loop_remove(d->timer);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

static void on_heard(void *arg, uint32_t events)
{
	(void)events;
	dial_free(arg);
}

static void on_never_heard(void *arg)
{
	struct dial *d = arg;

	d->timer = NULL;
	dial_free(d);
}

/* Nobody will be called. Return: 0, or -1 if it cannot be waited for. */
static int linger(struct dial *d)
{
	struct qbx_err none = { 0 };

	loop_remove(d->watch);
	loop_remove(d->timer);
	d->timer = NULL;
	d->watch = loop_add_fd(d->loop, d->fd, EPOLLIN, on_heard, d, &none);
	if (d->watch)
		d->timer = loop_add_timer(d->loop, LINGER_MS, on_never_heard, d, &none);
	return d->timer ? 0 : -1;
}

void guest_dial_cancel(struct dial *d)
{
	bool awaited = d && d->state == DIAL_LINE && d->line_len == 0 && d->fd >= 0 && !d->over;

	if (d && (!awaited || linger(d) < 0))
		dial_free(d);
}

void guest_dial_drop(struct dial *d)
{
	if (d)
		dial_free(d);
}

static void finish(struct dial *d, const struct qbx_err *err)
{
	int fd = err ? -1 : take_fd(&d->fd);
	guest_dialled_fn *fn = d->fn;
	void *arg = d->arg;

	guest_dial_cancel(d);
	fn(arg, fd, err);
}

static void fail(struct dial *d, int sys, const char *why)
{
	struct qbx_err err = { 0 };

	if (sys)
		err_sys(&err, sys, "dial guest port %u: %s", d->port, why);
	else
		err_code(&err, EX_UNAVAILABLE, "dial guest port %u: %s", d->port, why);
	finish(d, &err);
}

static void say(struct dial *d, enum dial_state state, const void *data, size_t len)
{
	d->state = state;
	d->out = data;
	d->left = len;
	loop_set_events(d->watch, EPOLLOUT);
}

/* Write what is going out. Return: 1 when all of it is out. */
static int write_some(struct dial *d)
{
	ssize_t n = send(d->fd, d->out, d->left, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0) {
		fail(d, errno, "write");
		return 0;
	}
	d->out = (const char *)d->out + n;
	d->left -= (size_t)n;
	return d->left == 0;
}

/* Byte by byte: what follows the newline belongs to whoever gets the connection. */
static void read_line(struct dial *d)
{
	while (d->line_len < sizeof(d->line) - 1) {
		ssize_t n = recv(d->fd, d->line + d->line_len, 1, 0);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			d->over = true;
			fail(d, n < 0 ? errno : ECONNREFUSED, "no guest listens there");
			return;
		}
		if (d->line[d->line_len++] == '\n') {
			if (strncmp(d->line, "OK ", 3))
				break;
			say(d, DIAL_TOKEN, d->token, d->token_len);
			return;
		}
	}
	fail(d, EPROTO, "vsock socket");
}

static void read_ack(struct dial *d)
{
	char ack;
	ssize_t n = recv(d->fd, &ack, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != 1 || ack != GUEST_STREAM_OK)
		fail(d, n < 0 ? errno : EPROTO, "stream refused");
	else
		finish(d, NULL);
}

static void token_sent(struct dial *d)
{
	if (d->port != GUEST_PORT_STREAM) {
		finish(d, NULL);
		return;
	}
	d->state = DIAL_ACK;
	loop_set_events(d->watch, EPOLLIN);
}

static void on_ready(void *arg, uint32_t events)
{
	struct dial *d = arg;
	int sys = 0;
	socklen_t len = sizeof(sys);

	(void)events;
	switch (d->state) {
	case DIAL_CONNECT:
		getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
		if (sys)
			fail(d, sys, "connect");
		else
			say(d, DIAL_TOKEN, d->token, d->token_len);
		break;
	case DIAL_GREET:
		if (!write_some(d))
			break;
		d->state = DIAL_LINE;
		loop_set_events(d->watch, EPOLLIN);
		break;
	case DIAL_LINE:
		read_line(d);
		break;
	case DIAL_TOKEN:
		if (write_some(d))
			token_sent(d);
		break;
	case DIAL_ACK:
		read_ack(d);
		break;
	}
}

static void on_timeout(void *arg)
{
	struct dial *d = arg;

	d->timer = NULL;
	fail(d, ETIMEDOUT, "guest");
}

/* The daemon can put anything into its directory, but cannot make it somebody else's. */
static int reach_daemon(const struct guest *g, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (unix_reach(fd, g->dirfd, GUEST_VSOCK) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -1;
	if (cred.uid == g->uid)
		return 0;
	errno = EPERM;
	return -1;
}

/* The kernel gives up after two seconds by itself, which a guest on a busy host may well need. */
static int connect_vm(int fd, unsigned cid, unsigned port, unsigned timeout_ms)
{
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	struct timeval longer = { .tv_sec = timeout_ms / 1000 + 1 };

	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &longer, sizeof(longer)) < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&vm, sizeof(vm));
}

/* A socket that is connecting, or connected. Return: descriptor, or -1 with errno. */
static int connect_to(const struct guest *g, unsigned port, unsigned timeout_ms)
{
	_cleanup_close_ int fd =
		socket(g->cid ? AF_VSOCK : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -1;
	ret = g->cid ? connect_vm(fd, g->cid, port, timeout_ms) : reach_daemon(g, fd);
	if (ret < 0 && errno != EINPROGRESS)
		return -1;
	return take_fd(&fd);
}

struct dial *guest_dial(struct loop *loop, const struct guest *g, unsigned port, uint32_t stream,
			unsigned timeout_ms, guest_dialled_fn *fn, void *arg, struct qbx_err *err)
{
	struct dial *d = calloc(1, sizeof(*d));
	uint32_t number = htonl(stream);

	if (!d) {
		err_sys(err, ENOMEM, "dial guest port %u", port);
		return NULL;
	}
	d->loop = loop;
	d->port = port;
	d->fn = fn;
	d->arg = arg;
	d->by_path = g->cid == 0;
	memcpy(d->token, g->token, GUEST_TOKEN_LEN);
	memcpy(d->token + GUEST_TOKEN_LEN, &number, 4);
	d->token_len = GUEST_TOKEN_LEN + (port == GUEST_PORT_STREAM ? 4 : 0);
	snprintf(d->greeting, sizeof(d->greeting), "CONNECT %u\n", port);
	d->fd = connect_to(g, port, timeout_ms);
	if (d->fd < 0)
		err_sys(err, errno, "dial guest port %u", port);
	else
		d->watch = loop_add_fd(loop, d->fd, EPOLLOUT, on_ready, d, err);
	if (d->watch)
		d->timer = loop_add_timer(loop, timeout_ms, on_timeout, d, err);
	if (!d->timer) {
		dial_free(d);
		return NULL;
	}
	d->state = d->by_path ? DIAL_GREET : DIAL_CONNECT;
	d->out = d->greeting;
	d->left = strlen(d->greeting);
	return d;
}
