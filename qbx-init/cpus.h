/* SPDX-License-Identifier: Apache-2.0 */
/* cpus.h - processors that come and go */
#ifndef QBX_INIT_CPUS_H
#define QBX_INIT_CPUS_H

#include "init.h"

/*
 * cpus_handle() - Guest/SetCpus
 * Processors that the machine has just been given are waited for, at most CPUS_WAIT_MS. One call at
 * a time may wait.
 */
void cpus_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
