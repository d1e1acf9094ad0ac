/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shutdown.c - the orderly end
 *
 * Everything is killed; when the last container has ended its file systems are unmounted, the disks
 * are synced and the call is answered. The power goes when the host closes the connection: then the
 * answer cannot still be in a queue. A host that does not close it gets LINGER_MS.
 */
#include <signal.h>
#include <unistd.h>

#include "container.h"
#include "guest.pb-c.h"
#include "log.h"
#include "seal.h"

#define KILL_MS 3000u
#define LINGER_MS 1000u

static void on_lingered(void *arg)
{
	(void)arg;
	power_off();
}

static void finish(struct vm *vm)
{
	Qemubox__Guest__V1__ShutdownResponse r = QEMUBOX__GUEST__V1__SHUTDOWN_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(vm->shutdown);
	struct qbx_err err = { 0 };

	for (struct container *c = vm->containers; c; c = c->next)
		container_unmount(c);
	sync();
	vm->last_conn = ttrpc_call_conn(call);
	if (!vm->last_conn || !loop_add_timer(vm->loop, LINGER_MS, on_lingered, NULL, &err))
		power_off();
	ttrpc_reply(call, &r.base);
}

static void on_unkillable(void *arg)
{
	struct vm *vm = arg;

	if (!vm->shutdown)
		return;
	log_warn("shutdown: some processes do not end");
	finish(vm);
}

void shutdown_check(struct vm *vm)
{
	if (!vm->shutdown || vm->sealing > 0)
		return;
	for (const struct container *c = vm->containers; c; c = c->next)
		if (c->init.pid && !c->init.ended)
			return;
	finish(vm);
}

void shutdown_closed(struct vm *vm, const struct ttrpc_conn *conn)
{
	if (vm->last_conn && vm->last_conn == conn)
		power_off();
}

void shutdown_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	struct vm *vm = arg;
	struct qbx_err err = { 0 };

	(void)request;
	if (vm->going_down) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "the guest is going down already");
		return;
	}
	vm->going_down = true;
	vm->shutdown = call;
	for (struct container *c = vm->containers; c; c = c->next)
		seal_end(c);
	kill(-1, SIGKILL);
	if (!loop_add_timer(vm->loop, KILL_MS, on_unkillable, vm, &err))
		log_warn("%s", err.msg);
	shutdown_check(vm);
}
