/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpus.c - processors that come and go
 *
 * The first N that are present are online. Where the machine has them all from the start (microvm)
 * that is a matter of writing to sysfs. Where they are plugged in (q35) the kernel learns of one some
 * time after the host has asked for it, and says so in a uevent.
 */
#include "cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "cpulist.h"
#include "guest.pb-c.h"
#include "io.h"
#include "log.h"

#define CPUS_WAIT_MS 3000u
#define UEVENT_GROUP 1u /* what the kernel says itself, not what a udevd repeats */

/* A call that waits for a processor to be plugged in. */
struct cpus_wait {
	struct vm *vm;
	struct ttrpc_call *call;
	unsigned wanted;
	int fd;
	struct watch *watch, *timer;
};

int cpus_read(const char *name, uint64_t *set, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;
	int n;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", name);
	if (io_read_file(AT_FDCWD, path, 4096, &text, &len, err) < 0)
		return -1;
	n = cpulist_parse(err_clean(text), set, CPUS_MAX);
	return n < 0 ? err_code(err, EX_SOFTWARE, "%s: \"%.80s\" is no list of processors", path,
				text)
		     : n;
}

static int set_online(unsigned cpu, bool online, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, online ? "1" : "0", 1) < 0)
		return err_sys(err, errno, "take processor %u %s", cpu,
			       online ? "online" : "offline");
	return 0;
}

/* The first @n of a set. */
static uint64_t first_of(uint64_t set, unsigned n)
{
	uint64_t left = set;

	while (n-- > 0)
		left &= left - 1;
	return set & ~left;
}

/* Processor 0 is always online, and the first of those that are present. */
static int apply(unsigned wanted, unsigned *online, unsigned *present, struct qbx_err *err)
{
	uint64_t on, there, goal;
	int n = cpus_read("present", &there, err);

	if (n < 0 || cpus_read("online", &on, err) < 0)
		return -1;
	*present = (unsigned)n;
	goal = first_of(there, wanted);
	for (unsigned cpu = 1; cpu < CPUS_MAX; cpu++) {
		uint64_t bit = UINT64_C(1) << cpu;

		if ((goal ^ on) & there & bit && set_online(cpu, goal & bit, err) < 0)
			return -1;
	}
	n = cpus_read("online", &on, err);
	if (n < 0)
		return -1;
	*online = (unsigned)n;
	return 0;
}

static void answer(struct ttrpc_call *call, unsigned online, unsigned present)
{
	Qemubox__Guest__V1__SetCpusResponse r = QEMUBOX__GUEST__V1__SET_CPUS_RESPONSE__INIT;

	r.online = online;
	r.present = present;
	ttrpc_reply(call, &r.base);
}

/* ---- waiting for one that is being plugged in ---- */

static void wait_free(struct cpus_wait *w)
{
	w->vm->cpus_wait = NULL;
	loop_remove(w->watch);
	loop_remove(w->timer);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* What is there now has been brought online; is it enough, or is there no more time? */
static void look(struct cpus_wait *w, bool last)
{
	struct ttrpc_call *call = w->call;
	struct qbx_err err = { 0 };
	unsigned online = 0, present = 0;
	int rc = apply(w->wanted, &online, &present, &err);

	if (rc == 0 && present < w->wanted && !last)
		return;
	wait_free(w);
	if (rc < 0)
		ttrpc_fail_err(call, &err);
	else
		answer(call, online, present);
}

static void on_late(void *arg)
{
	struct cpus_wait *w = arg;

	w->timer = NULL;
	look(w, true);
}

/* The text of a uevent does not matter: whichever it is, the kernel's lists are looked at again. */
static void on_uevent(void *arg, uint32_t events)
{
	struct cpus_wait *w = arg;
	char text[2048];

	(void)events;
	while (recv(w->fd, text, sizeof(text), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
	look(w, false);
}

static int uevent_open(struct qbx_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK, .nl_groups = UEVENT_GROUP };
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return err_sys(err, errno, "listen for processors");
	return take_fd(&fd);
}

static void wait_for_more(struct vm *vm, struct ttrpc_call *call, unsigned wanted)
{
	struct cpus_wait *w = calloc(1, sizeof(*w));
	struct qbx_err err = { 0 };

	if (!w) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*w = (struct cpus_wait){ .vm = vm, .call = call, .wanted = wanted };
	vm->cpus_wait = w;
	w->fd = uevent_open(&err);
	if (w->fd >= 0)
		w->watch = loop_add_fd(vm->loop, w->fd, EPOLLIN, on_uevent, w, &err);
	if (w->watch)
		w->timer = loop_add_timer(vm->loop, CPUS_WAIT_MS, on_late, w, &err);
	if (!w->timer) {
		wait_free(w);
		ttrpc_fail_err(call, &err);
		return;
	}
	look(w, false); /* it may have come before we listened */
}

void cpus_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Guest__V1__SetCpusRequest *r =
		(const Qemubox__Guest__V1__SetCpusRequest *)request;
	struct vm *vm = arg;
	struct qbx_err err = { 0 };
	unsigned online, present;

	if (r->online == 0 || r->online > CPUS_MAX)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "%u processors are not 1 to %u", r->online,
			   CPUS_MAX);
	else if (vm->cpus_wait)
		ttrpc_fail(call, TTRPC_UNAVAILABLE, "another call waits for processors");
	else if (apply(r->online, &online, &present, &err) < 0)
		ttrpc_fail_err(call, &err);
	else if (present < r->online)
		wait_for_more(vm, call, r->online);
	else
		answer(call, online, present);
}
