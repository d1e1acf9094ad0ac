/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom.c - Guest/AwaitOom: processes that the kernel killed for want of memory
 *
 * memory.events of a container's cgroup counts them, and says when it has changed. See the kernel's
 * admin-guide/cgroup-v2.rst. A kill is counted before the process ends.
 */
#include "oom.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "field.h"
#include "guest.pb-c.h"
#include "log.h"

/* One answer is one kill. */
static void tell(struct vm *vm)
{
	Qemubox__Guest__V1__AwaitOomResponse r = QEMUBOX__GUEST__V1__AWAIT_OOM_RESPONSE__INIT;
	struct container *c = vm->containers;

	while (c && c->oom.untold == 0)
		c = c->next;
	if (!c || !vm->oom_call)
		return;
	if (!ttrpc_call_conn(vm->oom_call)) { /* whoever asks next is to hear of it */
		ttrpc_fail(take_ptr(vm->oom_call), TTRPC_CANCELLED, "gone");
		return;
	}
	c->oom.untold--;
	r.id = c->id;
	ttrpc_reply(take_ptr(vm->oom_call), &r.base);
}

void oom_look(struct container *c)
{
	uint64_t killed;
	char text[512];
	ssize_t n;

	if (c->oom.fd < 0)
		return;
	n = pread(c->oom.fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	if (field_number(text, "oom_kill ", "", &killed) < 0) {
		/* The cgroup has gone. An error that stays would be reported again and again. */
		loop_remove(take_ptr(c->oom.watch));
		return;
	}
	if (killed <= c->oom.seen)
		return;
	c->oom.untold += killed - c->oom.seen;
	c->oom.seen = killed;
	tell(c->vm);
}

static void on_events(void *arg, uint32_t events)
{
	(void)events;
	oom_look(arg);
}

int oom_watch(struct container *c, struct qbx_err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/memory.events", c->cgroup);
	c->oom.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (c->oom.fd < 0)
		return err_sys(err, errno, "open %s", path);
	c->oom.watch = loop_add_fd(c->vm->loop, c->oom.fd, EPOLLPRI, on_events, c, err);
	if (!c->oom.watch)
		return -1;
	oom_look(c); /* what is read is what a change is told against */
	return 0;
}

void oom_forget(struct container *c)
{
	loop_remove(take_ptr(c->oom.watch));
	if (c->oom.fd >= 0)
		close(take_fd(&c->oom.fd));
}

void oom_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	struct vm *vm = arg;

	(void)request;
	if (vm->oom_call)
		ttrpc_fail(vm->oom_call, TTRPC_CANCELLED, "another call waits for it now");
	vm->oom_call = call;
	tell(vm);
}
