/* SPDX-License-Identifier: Apache-2.0 */
/* Dials through a socket that speaks as vhost-device-vsock does. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "guest.h"
#include "io.h"

struct fixture {
	char run[40];
	struct config cfg;
	struct box box;
	struct guest guest;
	struct loop *loop;
	int listener, fd, done;
	struct qbx_err err;
};

static const char doc[] =
	"{\"qbx\":1,\"id\":\"x\",\"vm\":{\"vsock\":{\"transport\":\"vhost-user\"}}}";

static void make_listener(struct fixture *f, int dirfd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	assert_int_equal(mkdirat(dirfd, "vsock", 0700), 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/" GUEST_VSOCK, dirfd);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(f->listener, 4), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct qbx_err err = { 0 };
	int dirfd;

	*state = f;
	strcpy(f->run, "/tmp/qbx-guest-XXXXXX");
	f->cfg.run_dir = mkdtemp(f->run);
	assert_int_equal(box_take(&f->box, json_loads(doc, 0, NULL), "doc", &err), 0);
	dirfd = box_dir_open(&f->cfg, &f->box, 1, &err);
	assert_true(dirfd >= 0);
	make_listener(f, dirfd);
	assert_int_equal(io_write_file(dirfd, "token", 0600, "0123456789abcdef0123456789abcdef",
				       GUEST_TOKEN_LEN, &err),
			 0);
	close(dirfd);
	assert_int_equal(guest_open(&f->guest, &f->cfg, &f->box, &err), 0);
	assert_int_equal(f->guest.uid, 0);
	f->guest.uid = getuid();
	f->loop = loop_new(&err);
	f->fd = -1;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err = { 0 };

	if (f->fd >= 0)
		close(f->fd);
	close(f->listener);
	guest_close(&f->guest);
	loop_free(f->loop);
	assert_int_equal(box_dir_remove(&f->cfg, &f->box, &err), 0);
	box_free(&f->box);
	rmdir(f->run);
	free(f);
	return 0;
}

static void dialled(void *arg, int fd, const struct qbx_err *err)
{
	struct fixture *f = arg;

	f->done = 1;
	f->fd = fd;
	if (err)
		f->err = *err;
	loop_stop(f->loop);
}

/*
 * Dial, and play the daemon and the guest: read what comes until the loop is done with it.
 * @line: what is answered to CONNECT; @ack: what is answered to the token. NULL closes.
 */
static void play(struct fixture *f, unsigned port, const char *line, const char *ack, char *got,
		 size_t got_size)
{
	struct qbx_err err = { 0 };
	ssize_t n;
	int peer;

	assert_non_null(guest_dial(f->loop, &f->guest, port, 7, 2000, dialled, f, &err));
	assert_int_equal(f->done, 0);
	peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	if (fork() == 0) {
		n = read(peer, got, got_size - 1);
		if (n > 0 && line && write(peer, line, strlen(line)) > 0 && ack) {
			n = read(peer, got, got_size - 1);
			if (n > 0 && write(peer, ack, strlen(ack)) > 0)
				_exit(0);
		}
		_exit(0);
	}
	close(peer);
	assert_int_equal(loop_run(f->loop, &err), 0);
	assert_int_equal(f->done, 1);
}

static void control_is_the_token_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	char got[100];

	play(f, GUEST_PORT_CONTROL, "OK 1024\n", "x", got, sizeof(got));
	assert_true(f->fd >= 0);
}

static void a_stream_waits_for_its_acknowledgement(void **state)
{
	struct fixture *f = *state;
	char got[100];

	play(f, GUEST_PORT_STREAM, "OK 1025\n", "Kdata", got, sizeof(got));
	assert_true(f->fd >= 0);
	/* What follows the acknowledgement belongs to the caller. */
	io_set_nonblock(f->fd, 0);
	assert_int_equal(recv(f->fd, got, 4, MSG_WAITALL), 4);
	assert_memory_equal(got, "data", 4);
}

static void a_refused_stream_is_an_error(void **state)
{
	struct fixture *f = *state;
	char got[100];

	play(f, GUEST_PORT_STREAM, "OK 1025\n", "N", got, sizeof(got));
	assert_int_equal(f->fd, -1);
	assert_int_equal(f->err.sys, EPROTO);
}

static void a_closed_socket_is_an_error(void **state)
{
	struct fixture *f = *state;
	char got[100];

	play(f, GUEST_PORT_CONTROL, NULL, NULL, got, sizeof(got));
	assert_int_equal(f->fd, -1);
	assert_non_null(strstr(f->err.msg, "no guest listens there"));
}

static void garbage_instead_of_ok_is_an_error(void **state)
{
	struct fixture *f = *state;
	char got[100];

	play(f, GUEST_PORT_CONTROL, "no newline, and longer than any answer may ever be", NULL, got,
	     sizeof(got));
	assert_int_equal(f->fd, -1);
	assert_int_equal(f->err.sys, EPROTO);
}

/* What listens there may have been told to lead us astray. */
static void nothing_but_the_daemon_is_talked_to(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err = { 0 };

	f->guest.uid = getuid() + 1;
	assert_null(guest_dial(f->loop, &f->guest, 1024, 0, 20, dialled, f, &err));
	assert_int_equal(err.sys, EPERM);
	f->guest.uid = getuid();
	assert_int_equal(renameat(f->guest.dirfd, GUEST_VSOCK, f->guest.dirfd, "vsock/other"), 0);
	assert_int_equal(symlinkat("other", f->guest.dirfd, GUEST_VSOCK), 0);
	assert_null(guest_dial(f->loop, &f->guest, 1024, 0, 20, dialled, f, &err));
	assert_int_equal(err.sys, ELOOP);
	assert_int_equal(unlinkat(f->guest.dirfd, GUEST_VSOCK, 0), 0);
	assert_int_equal(mknodat(f->guest.dirfd, GUEST_VSOCK, S_IFREG | 0600, 0), 0);
	assert_null(guest_dial(f->loop, &f->guest, 1024, 0, 20, dialled, f, &err));
	assert_int_equal(err.sys, ENOTSOCK);
}

static void on_time(void *loop)
{
	loop_stop(loop);
}

/* The daemon answers when nobody waits any more: the socket is still there, and then closed. */
static void hear_late(struct fixture *f)
{
	int peer = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	struct qbx_err err = { 0 };
	char got[20];

	assert_true(peer >= 0);
	assert_int_equal(read(peer, got, sizeof(got)), strlen("CONNECT 1024\n"));
	assert_int_equal(send(peer, "OK 7\n", 5, MSG_NOSIGNAL), 5);
	assert_non_null(loop_add_timer(f->loop, 20, on_time, f->loop, &err));
	assert_int_equal(loop_run(f->loop, &err), 0);
	assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), -1);
	close(peer);
}

static void silence_meets_the_deadline(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err = { 0 };

	assert_non_null(guest_dial(f->loop, &f->guest, 1024, 0, 20, dialled, f, &err));
	assert_int_equal(loop_run(f->loop, &err), 0);
	assert_int_equal(f->err.sys, ETIMEDOUT);
	hear_late(f);
}

static void a_dial_that_is_cancelled_hears_the_daemon_out(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err = { 0 };
	struct dial *d = guest_dial(f->loop, &f->guest, 1024, 0, 20000, dialled, f, &err);

	assert_non_null(d);
	assert_non_null(loop_add_timer(f->loop, 20, on_time, f->loop, &err));
	assert_int_equal(loop_run(f->loop, &err), 0); /* as far as the greeting */
	guest_dial_cancel(d);
	hear_late(f);
	assert_int_equal(f->done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(control_is_the_token_and_nothing_else, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_stream_waits_for_its_acknowledgement, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_refused_stream_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_socket_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_instead_of_ok_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_but_the_daemon_is_talked_to, setup,
						teardown),
		cmocka_unit_test_setup_teardown(silence_meets_the_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dial_that_is_cancelled_hears_the_daemon_out,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
