/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - how busy the guest is, as the kernel's text files tell it */
#ifndef QBX_INIT_STATS_H
#define QBX_INIT_STATS_H

#include "init.h"

/** stats_handle() - Guest/Stats */
void stats_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
