/* SPDX-License-Identifier: Apache-2.0 */
/* What crun may send where a terminal is expected. */
#include "unit.h"

#include <pty.h>
#include <string.h>
#include <sys/stat.h>

#include "qbx-init/terminal.c"

static char dir[] = "/tmp/qbx-terminal-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int listen_(void)
{
	struct qbx_err err = { 0 };
	int fd = terminal_listen(dir, &err);

	assert_true(fd >= 0);
	return fd;
}

/* A connection of crun's that sends @n descriptors with one byte. */
static void send_fds(const int *fds, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	_cleanup_close_ int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int sock = unix_connect(dirfd, TERMINAL_SOCKET);
	struct iovec iov = { (char *)"x", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

static void done(int listener)
{
	_cleanup_close_ int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(listener);
	assert_int_equal(unlinkat(dirfd, TERMINAL_SOCKET, 0), 0);
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void takes_a_terminal(void **state)
{
	struct winsize size = { 0 };
	struct qbx_err err = { 0 };
	int listener = listen_(), master, slave, got;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	send_fds(&master, 1);
	send_fds(&master, 1); /* once more does no harm */
	close(master);
	got = terminal_take(listener, &err);
	assert_true(got >= 0);
	done(listener);
	assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
	assert_int_equal(terminal_resize(got, 70, 30, &err), 0);
	assert_int_equal(ioctl(slave, TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_col, 70);
	assert_int_equal(size.ws_row, 30);
	close(slave);
	close(got);
}

static void refuses(const int *fds, size_t n)
{
	struct qbx_err err = { 0 };
	unsigned before = open_fds();
	int listener = listen_();

	send_fds(fds, n);
	assert_int_equal(terminal_take(listener, &err), -1);
	assert_int_not_equal(err.code, 0);
	done(listener);
	assert_int_equal(open_fds(), before);
}

static void refuses_what_is_none(void **state)
{
	int master, slave, pipes[2];

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(pipe(pipes), 0);
	refuses(NULL, 0);
	refuses(&slave, 1);
	refuses(&pipes[0], 1);
	refuses((int[]){ master, master }, 2);
	refuses((int[]){ master, slave, master, slave, master }, 5);
	close(master);
	close(slave);
	close(pipes[0]);
	close(pipes[1]);
}

static void refuses_a_crun_that_never_came(void **state)
{
	struct qbx_err err = { 0 };
	int listener = listen_();

	(void)state;
	assert_int_equal(terminal_take(listener, &err), -1);
	assert_string_equal(err.msg, "crun sent no terminal");
	done(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_terminal),
		cmocka_unit_test(refuses_what_is_none),
		cmocka_unit_test(refuses_a_crun_that_never_came),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
