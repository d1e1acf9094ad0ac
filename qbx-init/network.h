/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - another network than at boot: Guest/SetNetwork */
#ifndef QBX_INIT_NETWORK_H
#define QBX_INIT_NETWORK_H

#include "init.h"

/** network_handle() - serve SetNetwork; the files of all containers follow */
void network_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
