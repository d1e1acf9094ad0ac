/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vsockflood.c - what a container can do with AF_VSOCK: a thousand connections, all at once
 *
 * They go to the host's and to the guest's own ports, ours among them. Each that stands sends 64
 * random KiB. Prints how many were tried and how many stood. To be linked statically and run in a
 * container.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 1000
#define WAIT_MS 5000

static struct pollfd fds[CONNECTIONS];

static int dial(int i)
{
	static const unsigned ours[] = { 1023, 1024, 1025 };
	static const unsigned cids[] = { VMADDR_CID_HOST, VMADDR_CID_HOST, VMADDR_CID_LOCAL, 3 };
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK,
		.svm_cid = cids[i / 4 % 4],
		.svm_port = i % 4 < 3 ? ours[i % 4] : (unsigned)i,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Until none is on its way any more, or for WAIT_MS without news. Return: how many stood. */
static int talk(void)
{
	static char noise[65536];
	int stood = 0;

	if (getrandom(noise, sizeof(noise), 0) != sizeof(noise))
		return -1;
	while (poll(fds, CONNECTIONS, WAIT_MS) > 0)
		for (int i = 0; i < CONNECTIONS; i++) {
			if (!fds[i].revents)
				continue;
			if (send(fds[i].fd, noise, sizeof(noise), MSG_NOSIGNAL) > 0)
				stood++;
			fds[i].fd = -1; /* it stays open; poll looks away */
		}
	return stood;
}

int main(void)
{
	int tried = 0;

	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = (struct pollfd){ .fd = dial(i), .events = POLLOUT };
		tried += fds[i].fd >= 0;
	}
	printf("%d tried\n", tried);
	printf("%d stood\n", talk());
	return 0;
}
