/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the box's cgroup on the host, and what it may use there
 *
 * Only where /sys/fs/cgroup is cgroup v2 alone. Paths are those below it, without a leading slash.
 * Source of the format: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#ifndef QBX_VM_CGROUP_H
#define QBX_VM_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"

struct cgroup_limits {
	uint64_t memory; /* bytes */
	unsigned pids;
};

/** cgroup_usable() - is cgroup v2 what this machine has? */
bool cgroup_usable(void);

/**
 * cgroup_path() - where a box's cgroup is to be
 * @given: "linux.cgroupsPath" of an OCI specification: "/a/b", or "slice:prefix:name" as systemd
 * would name it; NULL or empty for "qemubox/<key>"
 * Return: 0, or -1 with @err (EX_DATAERR if it would lead elsewhere).
 */
int cgroup_path(const char *given, const char *key, char path[PATH_MAX],
		struct qbx_err *err) _must_check_;

/** cgroup_check() - is @path, from a record, one that cgroup_path() makes? */
int cgroup_check(const char *path, struct qbx_err *err) _must_check_;

/**
 * cgroup_make() - make it and set its limits
 * An empty one that is there already is used; one with processes in it is EX_TEMPFAIL. A limit that
 * cannot be set is a line in the log.
 */
int cgroup_make(const char *path, const struct cgroup_limits *limits,
		struct qbx_err *err) _must_check_;

/** cgroup_quota() - let it have @quota_us of processor time in each @period_us; quota 0: any. */
int cgroup_quota(const char *path, uint64_t quota_us, uint64_t period_us,
		 struct qbx_err *err) _must_check_;

/** cgroup_enter() - move a process there. */
int cgroup_enter(const char *path, pid_t pid, struct qbx_err *err) _must_check_;

/**
 * cgroup_remove() - remove it; what still runs in it is killed first
 * Return: 0 (also when absent), or -1 with @err.
 */
int cgroup_remove(const char *path, struct qbx_err *err) _must_check_;

#endif
