/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c - the queues of the TAP device that qbx-net made */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vm.h"

/* Open in whatever network namespace this process is in now. */
static int open_queue(const char *name, bool one_of_several, struct qbx_err *err)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

	if (one_of_several) /* the device has to be such a one, and one that is does not open without */
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	if (fd < 0)
		return err_sys(err, errno, "open /dev/net/tun");
	/* TUNSETIFF makes a device that is not there; a box's TAP has to be there. */
	if (if_nametoindex(name) == 0)
		return err_sys(err, ENODEV, "TAP device %s", name);
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return err_sys(err, errno, "open TAP device %s", name);
	return take_fd(&fd);
}

static int open_queues(const struct vm_link *link, int *fds, struct qbx_err *err)
{
	for (unsigned q = 0; q < vm_link_queues(link); q++) {
		fds[q] = open_queue(link->tap, link->queues > 0, err);
		if (fds[q] < 0)
			return -1;
	}
	return 0;
}

int tap_open(int netns, const struct vm_link *link, int *fds, struct qbx_err *err)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const char *name = link->tap;
	int rc;

	if (strlen(name) >= IFNAMSIZ)
		return err_code(err, EX_DATAERR, "TAP device \"%s\": the name is too long", name);
	if (home < 0)
		return err_sys(err, errno, "open our network namespace");
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "enter the box's network namespace");
	rc = open_queues(link, fds, err);
	if (setns(home, CLONE_NEWNET) < 0)
		BUG("cannot return to our network namespace");
	return rc;
}
