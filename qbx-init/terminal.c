/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.c - the pseudo-terminal of a process */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io.h"
#include "sock.h"

int terminal_listen(const char *dir, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return err_sys(err, errno, "open %s", dir);
	return unix_listen(dirfd, TERMINAL_SOCKET, err);
}

/* The one descriptor of a message, or -1: any other number of them is closed. */
static int only_fd(struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fds[2];
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > ARRAY_SIZE(fds))
		BUG("more descriptors than there was room for");
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	if (n == 1 && !(msg->msg_flags & MSG_CTRUNC))
		return fds[0];
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return -1;
}

static int receive_fd(int sock)
{
	/* Room for two, as padding has it anyway: one too many is to be seen. */
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
	char name[128];
	struct iovec iov = { name, sizeof(name) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_LEN(2 * sizeof(int)),
	};

	return recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0 ? -1 : only_fd(&msg);
}

int terminal_take(int listener, struct qbx_err *err)
{
	_cleanup_close_ int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	_cleanup_close_ int fd = sock < 0 ? -1 : receive_fd(sock);
	unsigned number;

	if (fd < 0)
		return err_code(err, EX_SOFTWARE, "crun sent no terminal");
	/* Only the master of a pseudo-terminal has a number. */
	if (ioctl(fd, TIOCGPTN, &number) < 0)
		return err_code(err, EX_SOFTWARE, "what crun sent is not a terminal");
	if (io_set_nonblock(fd, 1) < 0)
		return err_sys(err, errno, "take a terminal");
	return take_fd(&fd);
}

int terminal_resize(int master, uint16_t width, uint16_t height, struct qbx_err *err)
{
	struct winsize size = { .ws_row = height, .ws_col = width };

	if (ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_sys(err, errno, "resize a terminal");
	return 0;
}
