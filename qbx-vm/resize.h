/* SPDX-License-Identifier: Apache-2.0 */
/* resize.h - a running VM that is given another size: what its parts share */
#ifndef QBX_VM_RESIZE_H
#define QBX_VM_RESIZE_H

#include "ttrpc.h"
#include "vm.h"

#define RESIZE_VCPUS_MAX 64u /* CONFIG_NR_CPUS of guest/kernel.config */
#define RESIZE_RPC_MS \
	15000u /* the guest waits 3 seconds for a processor, and may be slow to start it */

/* A VM that runs, as vm.json has it. */
struct resize {
	const struct config *cfg;
	struct box box; /* its document has the "vm" of vm.json; owned */
	int dirfd, lock;
	bool q35;
	unsigned vcpus, vcpus_max, memory_mib, memory_max_mib; /* now, and at most */
};

/* ---- ask.c ---- */

/**
 * ask_fn - the guest's answer, unpacked; borrowed until return
 * Return: 0, or -1 with @err when it cannot be true.
 */
typedef int ask_fn(void *arg, const ProtobufCMessage *reply, struct qbx_err *err);

/**
 * ask_guest() - one call of GUEST_SERVICE, over a connection of its own
 * @box: its document has the "vm" key
 * @timeout_ms: for all of it
 * Return: 0 when @take has had the answer and found it good, or -1 with @err.
 */
int ask_guest(const struct config *cfg, const struct box *box, const char *method,
	      const ProtobufCMessage *request, const ProtobufCMessageDescriptor *reply,
	      unsigned timeout_ms, ask_fn *take, void *arg, struct qbx_err *err) _must_check_;

/* ---- cpus.c ---- */

/**
 * cpus_set() - have @n processors online, of which the machine may have to be given some first
 * Return: 0 with r->vcpus set, or -1 with @err.
 */
int cpus_set(struct resize *r, unsigned n, struct qbx_err *err) _must_check_;

/* ---- plug.c ---- */

/** plug_cpus() - have @n processors in a q35 machine; those it was started with stay. */
int plug_cpus(const struct resize *r, unsigned n, struct qbx_err *err) _must_check_;

/* ---- memory.c ---- */

/**
 * memory_set() - have @mib of memory, rounded up to what the machine can do
 * Return: 0, or -1 with @err; r->memory_mib is what there is now, either way.
 */
int memory_set(struct resize *r, unsigned mib, struct qbx_err *err) _must_check_;

#endif
