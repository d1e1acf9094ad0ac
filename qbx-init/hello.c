/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - the one conversation that the guest begins, before anything else runs */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include "boot.h"
#include "guest.h"
#include "io.h"

#define PATIENCE_US 30000000ull

/* Wait until @fd is ready for @events. Return: 0, or -1 with errno (ETIMEDOUT). */
static int await(int fd, short events, unsigned long long deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	unsigned long long now = io_now_us();
	int n;

	do
		n = poll(&p, 1, now < deadline ? (int)((deadline - now + 999) / 1000) : 0);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? 0 : -1;
}

static int dial_host(unsigned port, unsigned long long deadline)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_HOST,
				    .svm_port = port };
	_cleanup_close_ int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(errno);
	int sys = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0 &&
	    (errno != EINPROGRESS || await(fd, POLLOUT, deadline) < 0))
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0 || sys) {
		errno = sys ? sys : errno;
		return -1;
	}
	return take_fd(&fd);
}

static int send_all(int fd, const uint8_t *buf, size_t len, unsigned long long deadline)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (n < 0 && await(fd, POLLOUT, deadline) < 0)
			return -1;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int recv_all(int fd, uint8_t *buf, size_t len, unsigned long long deadline)
{
	while (len > 0) {
		ssize_t n = recv(fd, buf, len, 0);

		if (n == 0)
			errno = ECONNRESET;
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		if (n < 0 && await(fd, POLLIN, deadline) < 0)
			return -1;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The framed message. Return: its bytes in @out. */
static size_t make_hello(uint8_t out[1024])
{
	Qemubox__Guest__V1__Hello h = QEMUBOX__GUEST__V1__HELLO__INIT;
	struct utsname u;
	struct sysinfo si;
	struct timespec up;
	uint32_t len;

	h.version = GUEST_PROTOCOL;
	if (uname(&u) == 0)
		h.kernel = u.release; /* at most 64 bytes: all of it fits */
	h.cpus = (uint32_t)get_nprocs();
	if (sysinfo(&si) == 0)
		h.memory_kib = (uint64_t)si.totalram * si.mem_unit / 1024;
	clock_gettime(CLOCK_BOOTTIME, &up);
	h.boot_us = (uint64_t)up.tv_sec * 1000000 + (uint64_t)up.tv_nsec / 1000;
	len = htonl((uint32_t)qemubox__guest__v1__hello__get_packed_size(&h));
	memcpy(out, &len, sizeof(len));
	return sizeof(len) + qemubox__guest__v1__hello__pack(&h, out + sizeof(len));
}

Boot *hello(unsigned port, struct qbx_err *err)
{
	unsigned long long deadline = io_now_us() + PATIENCE_US;
	_cleanup_close_ int fd = dial_host(port, deadline);
	_cleanup_free_ uint8_t *answer = NULL;
	uint8_t out[1024];
	uint32_t len;

	if (fd < 0 || send_all(fd, out, make_hello(out), deadline) < 0 ||
	    recv_all(fd, (uint8_t *)&len, sizeof(len), deadline) < 0) {
		err_sys(err, errno, "say hello to the host on port %u", port);
		return NULL;
	}
	len = ntohl(len);
	if (len > GUEST_MESSAGE_MAX) {
		err_code(err, EX_DATAERR, "boot message: %u bytes are too many", len);
		return NULL;
	}
	answer = malloc(len + 1);
	if (!answer || recv_all(fd, answer, len, deadline) < 0) {
		err_sys(err, answer ? errno : ENOMEM, "read the boot message");
		return NULL;
	}
	return boot_parse(answer, len, err);
}
