/* SPDX-License-Identifier: Apache-2.0 */
/* cpulist.h - sets of processors as the kernel writes them: "0-3,5" */
#ifndef QBX_INIT_CPULIST_H
#define QBX_INIT_CPULIST_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define CPULIST_MAX 64u /* CONFIG_NR_CPUS of guest/kernel.config */

/** cpulist_parse() - @set: bit N is processor N. Return: 0, or -1 when @text is no list. */
int cpulist_parse(const char *text, uint64_t *set);

/** cpulist_read() - what a file of /sys/devices/system/cpu holds: "online", "present". */
int cpulist_read(const char *name, uint64_t *set, struct qbx_err *err) _must_check_;

static inline unsigned cpulist_count(uint64_t set)
{
	return (unsigned)__builtin_popcountll(set);
}

#endif
