/* SPDX-License-Identifier: Apache-2.0 */
/*
 * greet.c - the guest's first connection
 *
 * Theory of Operation
 *
 * GREET_ACCEPT: the listener is watched; whoever connects and is not the VM is dropped, and the
 * wait goes on. The right peer closes the listener: nobody else is heard. -> GREET_READ: length and
 * Hello come in -> GREET_WRITE: the Boot goes out -> GREET_CLOSE: the guest's close says that it
 * has the Boot, and that its ports listen. Only then may this side close: what is queued behind a
 * close can be lost on the way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "vm.h"

enum greet_state { GREET_ACCEPT, GREET_READ, GREET_WRITE, GREET_CLOSE };

struct greet {
	enum greet_state state;
	struct loop *loop;
	int listener, fd;
	struct watch *watch;
	unsigned cid;
	pid_t pid;
	const struct box *box;
	const uint8_t *token;
	greet_done_fn *done;
	void *arg;
	struct hello hello;
	uint8_t *out;
	size_t out_len, sent;
	size_t got;
	uint8_t in[4 + GUEST_MESSAGE_MAX];
};

void greet_free(struct greet *g)
{
	if (!g)
		return;
	loop_remove(g->watch);
	if (g->listener >= 0)
		close(g->listener);
	if (g->fd >= 0)
		close(g->fd);
	free(g->out);
	free(g);
}

static void finish(struct greet *g, const struct qbx_err *err)
{
	struct hello hello = g->hello;
	greet_done_fn *done = g->done;
	void *arg = g->arg;

	greet_free(g);
	done(arg, err ? NULL : &hello, err);
}

static void give_up(struct greet *g, int sys, const char *what)
{
	struct qbx_err err = { 0 };

	err_sys(&err, sys, "the guest's hello: %s", what);
	finish(g, &err);
}

static bool is_our_guest(const struct greet *g, int fd)
{
	struct sockaddr_vm vm = { 0 };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(vm);

	if (g->cid)
		return getpeername(fd, (struct sockaddr *)&vm, &len) == 0 &&
		       vm.svm_family == AF_VSOCK && vm.svm_cid == g->cid;
	len = sizeof(cred);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == g->pid;
}

static void on_ready(void *arg, uint32_t events);

static void accept_guest(struct greet *g)
{
	int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct qbx_err err = { 0 };

	if (fd < 0)
		return;
	if (!is_our_guest(g, fd)) {
		log_warn("box %s: somebody else dialled the port of the guest's hello",
			 g->box->key);
		close(fd);
		return;
	}
	loop_remove(g->watch);
	close(take_fd(&g->listener));
	g->fd = fd;
	g->state = GREET_READ;
	g->watch = loop_add_fd(g->loop, fd, EPOLLIN, on_ready, g, &err);
	if (!g->watch)
		finish(g, &err);
}

/* The whole Hello is in: make the answer, or the refusal. */
static void answer(struct greet *g)
{
	struct qbx_err err = { 0 }, why;

	if (hello_decode(g->in + 4, g->got - 4, &g->hello, &err) < 0) {
		why = err;
		if (hello_refuse(why.msg, &g->out, &g->out_len, &err) == 0 &&
		    send(g->fd, g->out, g->out_len, MSG_NOSIGNAL) < 0)
			log_debug("the guest was not told: %s", strerror(errno));
		finish(g, &why);
		return;
	}
	if (hello_answer(g->box, g->token, &g->out, &g->out_len, &err) < 0) {
		finish(g, &err);
		return;
	}
	g->state = GREET_WRITE;
	loop_set_events(g->watch, EPOLLOUT);
}

static void read_hello(struct greet *g)
{
	uint32_t len = 0;
	size_t want = 4;
	ssize_t n;

	if (g->got >= 4) {
		memcpy(&len, g->in, 4);
		want = 4 + (size_t)ntohl(len);
	}
	n = recv(g->fd, g->in + g->got, want - g->got, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		give_up(g, n < 0 ? errno : ECONNRESET, "read");
		return;
	}
	g->got += (size_t)n;
	if (g->got == 4) {
		memcpy(&len, g->in, 4);
		if (ntohl(len) == 0 || ntohl(len) > GUEST_MESSAGE_MAX)
			give_up(g, EMSGSIZE, "length");
	} else if (g->got == want) {
		answer(g);
	}
}

static void write_boot(struct greet *g)
{
	ssize_t n = send(g->fd, g->out + g->sent, g->out_len - g->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		give_up(g, errno, "answer");
		return;
	}
	g->sent += (size_t)n;
	if (g->sent < g->out_len)
		return;
	g->state = GREET_CLOSE;
	loop_set_events(g->watch, EPOLLIN);
}

static void await_close(struct greet *g)
{
	char byte;
	ssize_t n = recv(g->fd, &byte, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		give_up(g, EPROTO, "more than one message");
	else
		finish(g, NULL);
}

static void on_ready(void *arg, uint32_t events)
{
	struct greet *g = arg;

	(void)events;
	switch (g->state) {
	case GREET_ACCEPT:
		accept_guest(g);
		break;
	case GREET_READ:
		read_hello(g);
		break;
	case GREET_WRITE:
		write_boot(g);
		break;
	case GREET_CLOSE:
		await_close(g);
		break;
	}
}

struct greet *greet_start(struct loop *loop, int listener, unsigned cid, pid_t pid,
			  const struct box *box, const uint8_t *token, greet_done_fn *done,
			  void *arg, struct qbx_err *err)
{
	struct greet *g = calloc(1, sizeof(*g));

	if (!g) {
		close(listener);
		err_sys(err, ENOMEM, "wait for the guest");
		return NULL;
	}
	g->loop = loop;
	g->listener = listener;
	g->fd = -1;
	g->cid = cid;
	g->pid = pid;
	g->box = box;
	g->token = token;
	g->done = done;
	g->arg = arg;
	g->watch = loop_add_fd(loop, listener, EPOLLIN, on_ready, g, err);
	if (!g->watch) {
		greet_free(g);
		return NULL;
	}
	return g;
}
