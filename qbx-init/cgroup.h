/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.h - the processes of a container, by its cgroup */
#ifndef QBX_INIT_CGROUP_H
#define QBX_INIT_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"

#define CGROUP_PIDS_MAX 32768u

/** cgroup_kill() - SIGKILL to every process in @cgroup and below it; absent is success */
int cgroup_kill(const char *cgroup, struct qbx_err *err) _must_check_;

/**
 * cgroup_pids() - who is in @cgroup and below it
 * @cgroup: path below /sys/fs/cgroup with a leading slash
 * @pids: set to a malloc'ed array that the caller frees
 * Return: 0, or -1 with @err; more than CGROUP_PIDS_MAX are cut off.
 */
int cgroup_pids(const char *cgroup, pid_t **pids, size_t *n, struct qbx_err *err) _must_check_;

/** cgroup_prune() - remove the directories on the way to @cgroup that have become empty */
void cgroup_prune(const char *cgroup);

#endif
