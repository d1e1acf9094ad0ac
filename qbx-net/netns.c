/* SPDX-License-Identifier: Apache-2.0 */
/* netns.c - network namespaces: make, enter for a moment, remove */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <netlink/socket.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "io.h"
#include "lease.h"
#include "link.h"
#include "step.h"

#define OWN_NETNS "/proc/thread-self/ns/net"
#define MOUNTS_MAX 16 /* on top of each other at one path; more is not of our making */

const char *netns_path(char path[NETNS_PATH_MAX], const char *key)
{
	snprintf(path, NETNS_PATH_MAX, NETNS_DIR "/%s", key);
	return path;
}

/* Go into @ns, or a new one for -1. Return: the way back, for leave(), or -1 with errno. */
static int enter(int ns)
{
	_cleanup_close_ int home = open(OWN_NETNS, O_RDONLY | O_CLOEXEC);

	if (home < 0 || (ns < 0 ? unshare(CLONE_NEWNET) : setns(ns, CLONE_NEWNET)) < 0)
		return -1;
	return take_fd(&home);
}

/* In the wrong namespace nothing may go on. */
static void leave(const int *home)
{
	if (*home >= 0 && setns(*home, CLONE_NEWNET) < 0)
		BUG("cannot return to the network namespace");
	cleanup_closep(home);
}

static struct nl_sock *route_socket(struct qbx_err *err)
{
	struct nl_sock *sock = nl_socket_alloc();
	int rc = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (rc == 0)
		return sock;
	err_code(err, EX_UNAVAILABLE, "netlink socket: %s", nl_geterror(rc));
	nl_socket_free(sock);
	return NULL;
}

/* Of a new namespace: its first interface. Source: LOOPBACK_IFINDEX in Linux' include/net/flow.h */
static struct rtnl_link *loopback(void)
{
	struct rtnl_link *lo = rtnl_link_alloc();

	if (lo) {
		rtnl_link_set_name(lo, "lo");
		rtnl_link_set_ifindex(lo, 1);
	}
	return lo;
}

static int populate(const char *path, struct qbx_err *err)
{
	_cleanup_(leave) int home = enter(-1);
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = NULL;
	_cleanup_(cleanup_linkp) struct rtnl_link *lo = NULL;

	if (home < 0)
		return err_sys(err, errno, "make a network namespace");
	lo = loopback();
	if (!lo)
		return err_sys(err, ENOMEM, "set lo up");
	sock = route_socket(err);
	if (!sock || link_up(sock, lo, 0, err) < 0)
		return -1;
	if (mount(OWN_NETNS, path, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "mount the network namespace at %s", path);
	step("netns-mounted", path);
	return 0;
}

int netns_create(const char *path, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	if (io_mkdirs(NETNS_DIR, 0755, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, errno, "create %s", path);
	step("netns-file", path);
	if (populate(path, err) == 0)
		return 0;
	unlink(path);
	return err->code == EX_NOPERM ? err_hint(err, "run it as root") : -1;
}

int netns_open(const char *path, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_sys(err, errno, "open network namespace %s", path);
	/* The file without its mount is what a reboot or a killed add leaves. */
	if (fs.f_type != NSFS_MAGIC)
		return err_sys(err, ENOENT, "open network namespace %s", path);
	return take_fd(&fd);
}

int netns_open_given(const char *path, struct netns_id *id, struct qbx_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "open network namespace %s", path);
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "look at %s", path);
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return err_code(err, EX_DATAERR, "%s is no network namespace", path);
	if (id->ino && (id->ino != st.st_ino || id->dev != st.st_dev))
		return err_sys(err, ENOENT, "network namespace %s is another one by now", path);
	*id = (struct netns_id){ st.st_dev, st.st_ino };
	return take_fd(&fd);
}

/* By a path that is of no namespace any more nothing is to be had, either. */
int netns_of(const struct lease *l, const char *key, struct qbx_err *err)
{
	struct netns_id id = l->given_id;
	char path[NETNS_PATH_MAX];
	int fd;

	if (!l->given)
		return netns_open(netns_path(path, key), err);
	fd = netns_open_given(l->given, &id, err);
	if (fd < 0 && err->code == EX_DATAERR)
		err->sys = ENOENT;
	return fd;
}

const char *netns_path_of(const struct lease *l, const char *key, char path[NETNS_PATH_MAX])
{
	return l->given ? l->given : netns_path(path, key);
}

int netns_is(const char *path, int ns, struct qbx_err *err)
{
	struct qbx_err gone = { 0 };
	_cleanup_close_ int now = netns_open(path, &gone);
	struct stat want, st;

	if (now >= 0 && fstat(now, &st) == 0 && fstat(ns, &want) == 0 && st.st_ino == want.st_ino)
		return 0;
	return err_code(err, EX_UNAVAILABLE, "network namespace %s was taken away meanwhile", path);
}

int netns_remove(const char *path, struct qbx_err *err)
{
	for (int i = 0; umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
		if (i >= MOUNTS_MAX)
			return err_sys(err, EBUSY, "unmount %s", path);
	/* EINVAL: nothing mounted there */
	if (errno != EINVAL && errno != ENOENT)
		return err_sys(err, errno, "unmount %s", path);
	step("netns-unmounted", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "remove %s", path);
	step("netns-removed", path);
	return 0;
}

struct nl_sock *netns_socket(int ns, struct qbx_err *err)
{
	_cleanup_(leave) int home = enter(ns);

	if (home >= 0)
		return route_socket(err);
	err_sys(err, errno, "enter the network namespace");
	return NULL;
}

int netns_open_file(int ns, const char *path, int flags, struct qbx_err *err)
{
	_cleanup_(leave) int home = enter(ns);
	int fd;

	if (home < 0)
		return err_sys(err, errno, "enter the network namespace");
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}
