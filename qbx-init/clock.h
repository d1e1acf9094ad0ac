/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the time of day: Guest/AdjustClock and Guest/Ping */
#ifndef QBX_INIT_CLOCK_H
#define QBX_INIT_CLOCK_H

#include "init.h"

/** clock_now_ns() - CLOCK_REALTIME */
int64_t clock_now_ns(void);

void clock_adjust_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

/** ping_handle() - we serve, and this is our time */
void ping_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
