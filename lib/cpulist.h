/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpulist.h - sets of processors as text: "0-3,8"
 *
 * Source of the format: the kernel's Documentation/admin-guide/cputopology.rst, and cpuset(7), "List
 * format". Neither blanks nor strides are taken.
 */
#ifndef QBX_CPULIST_H
#define QBX_CPULIST_H

#include <stdint.h>

/**
 * cpulist_parse() - the processors that @text lists
 * @set: @max bits, a multiple of 64; bit N % 64 of set[N / 64] is processor N. It is empty for "".
 * Return: how many they are, each counted once, or -1 when @text is no list of such below @max.
 */
int cpulist_parse(const char *text, uint64_t *set, unsigned max);

#endif
