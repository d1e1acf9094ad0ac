/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - what a container uses, as its cgroup's files tell it */
#ifndef QBX_INIT_METRICS_H
#define QBX_INIT_METRICS_H

#include "container.h"
#include "metrics.pb-c.h"

#define METRICS_DISKS_MAX 128u /* that are told of */

struct metrics {
	Qemubox__Metrics__Metrics message; /* points to the others */
	Qemubox__Metrics__Pids pids;
	Qemubox__Metrics__Cpu cpu;
	Qemubox__Metrics__Memory memory;
	Qemubox__Metrics__MemoryEvents memory_events;
	Qemubox__Metrics__Io io;
	Qemubox__Metrics__IoEntry *list[METRICS_DISKS_MAX], disks[METRICS_DISKS_MAX];
};

/** metrics_init() - nothing used, and no limits; @m must not move afterwards. */
void metrics_init(struct metrics *m);

/**
 * metrics_decode() - take in one file of a cgroup; pure
 * @file: "memory.stat"; of other files nothing is taken
 * @text: what it holds. Lines that are not there leave 0.
 * Source of the formats: the kernel's admin-guide/cgroup-v2.rst.
 */
void metrics_decode(struct metrics *m, const char *file, const char *text);

/** container_stats() - Task.Stats; answers @call. */
void container_stats(struct container *c, struct ttrpc_call *call);

#endif
