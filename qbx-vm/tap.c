/* SPDX-License-Identifier: Apache-2.0 */
/* tap.c - a queue of the TAP device that qbx-net made */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vm.h"

/* Open in whatever network namespace this process is in now. */
static int open_here(const char *name, struct qbx_err *err)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

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

int tap_open(int netns, const char *name, struct qbx_err *err)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd;

	if (strlen(name) >= IFNAMSIZ)
		return err_code(err, EX_DATAERR, "TAP device \"%s\": the name is too long", name);
	if (home < 0)
		return err_sys(err, errno, "open our network namespace");
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, errno, "enter the box's network namespace");
	fd = open_here(name, err);
	if (setns(home, CLONE_NEWNET) < 0)
		BUG("cannot return to our network namespace");
	return fd;
}
