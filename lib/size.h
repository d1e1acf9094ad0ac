/* SPDX-License-Identifier: Apache-2.0 */
/*
 * size.h - how large a box's VM is: qbx-vm makes it so, and qbx-net has to know of its processors
 *
 * limits.c reads what the size follows from, size.c has the formula.
 */
#ifndef QBX_SIZE_H
#define QBX_SIZE_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "box.h"
#include "config.h"
#include "err.h"

#define SIZE_VCPUS_MAX 64u /* CONFIG_NR_CPUS of guest/kernel.config */
#define SIZE_QUEUES_MAX 8u /* of an interface; more would be descriptors that nothing gains by */

enum machine { MACHINE_MICROVM, MACHINE_Q35 };

const char *machine_name(enum machine machine);

/** machine_choose() - by its name. Return: 0, or -1 with @err (EX_DATAERR). */
int machine_choose(const char *wanted, enum machine *machine, struct qbx_err *err) _must_check_;

/* ---- limits.c ---- */

/* What a VM's size follows from. 0 stands for "nothing said", except of the host. */
struct limits {
	enum machine machine;
	uint64_t memory_bytes;		       /* of the container, or of all in the sandbox */
	uint64_t cpu_quota_us, cpu_period_us;  /* the same; the period is there with a quota */
	unsigned cpuset;		       /* processors in it */
	unsigned cpu_shares;		       /* of a sandbox only: 1024 are one processor */
	unsigned vcpus, vcpus_max, memory_mib; /* by annotation */
	struct {
		unsigned vcpus_max, memory_mib, memory_max_mib; /* as in struct config */
	} config;
	struct {
		unsigned cpus;
		uint64_t memory_mib, available_mib;
	} host;
};

/**
 * limits_read() - what an OCI specification asks for
 * Source of the keys: the OCI runtime specification 1.1, linux.resources; the annotations that
 * containerd's CRI gives a sandbox (io.kubernetes.cri.sandbox-*, decimal, 0 for none); and ours.
 * @spec: NULL is one that says nothing
 * Fills all but config and host. Return: 0, or -1 with @err (EX_DATAERR), which names the key.
 */
int limits_read(struct limits *l, const json_t *spec, struct qbx_err *err) _must_check_;

/** limits_meminfo() - a value of this /proc/meminfo text, in MiB, or 0. @key is with its colon. */
uint64_t limits_meminfo(const char *meminfo, const char *key);

/** limits_make() - all of it, of a box on this host. */
int limits_make(struct limits *l, const struct config *cfg, const struct box *box,
		struct qbx_err *err) _must_check_;

/* ---- size.c ---- */

struct size {
	enum machine machine;
	unsigned vcpus, vcpus_max;	      /* online at boot, and at most */
	unsigned memory_mib, memory_max_mib;  /* at boot, and at most */
	uint64_t cpu_quota_us, cpu_period_us; /* what the host's cgroup is to hold; 0: no quota */
};

/**
 * size_make() - the formula of qbx-vm(8): a function of @l and nothing else
 * @why: told each step in a line, or NULL
 * Return: 0, or -1 with @err (EX_UNAVAILABLE: the host has not enough).
 */
int size_make(const struct limits *l, struct size *size, FILE *why,
	      struct qbx_err *err) _must_check_;

/** size_vcpus() - its processors alone, which any host has enough of. */
void size_vcpus(const struct limits *l, struct size *size, FILE *why);

/**
 * size_queues() - how many queues an interface of such a VM has: one a processor at boot
 * A guest's driver takes as many as there are processors when it starts; those that come later share.
 */
unsigned size_queues(const struct size *size);

#endif
