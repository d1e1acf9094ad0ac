/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.h - processors that come and go */
#ifndef QBX_INIT_CPUS_H
#define QBX_INIT_CPUS_H

#include "init.h"

#define CPUS_MAX 64u /* CONFIG_NR_CPUS of guest/kernel.config */

/**
 * cpus_read() - what a file of /sys/devices/system/cpu lists: "online", "present"
 * @set: bit N is processor N
 * Return: how many they are, or -1 with @err.
 */
int cpus_read(const char *name, uint64_t *set, struct qbx_err *err) _must_check_;

/*
 * cpus_handle() - Guest/SetCpus
 * Processors that the machine has just been given are waited for, at most CPUS_WAIT_MS. One call at
 * a time may wait.
 */
void cpus_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
