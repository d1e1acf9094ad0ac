/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pids.c - Pids: the processes of a task, as this host has them
 *
 * All of them run in QEMU, so they have its pid, each with the id of the exec that it is. Numbers of the
 * guest's would mean other processes here; and the guest is not asked, so that the answer never waits.
 */
#include "container.h"

#define DETAILS_TYPE "containerd.runc.v1.ProcessDetails"

/* One entry of the list, and what it points to. */
struct entry {
	Qemubox__Task__ProcessInfo info;
	Google__Protobuf__Any any;
	uint8_t details[BOX_NAME_MAX + 8];
};

static bool runs(const struct process *p)
{
	return p->state == PROCESS_RUNNING || p->state == PROCESS_DRAINING;
}

static void fill(struct entry *e, const struct process *p)
{
	Qemubox__Task__ProcessDetails m = QEMUBOX__TASK__PROCESS_DETAILS__INIT;

	qemubox__task__process_info__init(&e->info);
	google__protobuf__any__init(&e->any);
	e->info.pid = (uint32_t)p->container->sandbox->pid;
	if (!p->exec_id[0])
		return;
	m.exec_id = p->exec_id;
	e->any.type_url = (char *)DETAILS_TYPE;
	e->any.value.data = e->details;
	e->any.value.len = qemubox__task__process_details__pack(&m, e->details);
	e->info.info = &e->any;
}

void container_pids(const struct container *c, struct ttrpc_call *call)
{
	Qemubox__Task__PidsResponse m = QEMUBOX__TASK__PIDS_RESPONSE__INIT;
	_cleanup_free_ struct entry *entries = calloc(EXECS_MAX + 1, sizeof(*entries));
	Qemubox__Task__ProcessInfo *list[EXECS_MAX + 1];

	if (!entries) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "pids: out of memory");
		return;
	}
	if (c->sandbox->pid) {
		fill(&entries[0], &c->init);
		list[m.n_processes++] = &entries[0].info;
	}
	for (const struct process *p = c->execs; p && c->sandbox->pid; p = p->next) {
		if (!runs(p))
			continue;
		fill(&entries[m.n_processes], p);
		list[m.n_processes] = &entries[m.n_processes].info;
		m.n_processes++;
	}
	m.processes = list;
	ttrpc_reply(call, &m.base);
}
