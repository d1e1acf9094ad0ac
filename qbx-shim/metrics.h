/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - what a container uses, as its guest counts it */
#ifndef SHIM_METRICS_H
#define SHIM_METRICS_H

#include "container.h"

/** metrics_keep() - answer Stats with this StatsResponse from now on. */
void metrics_keep(struct container *c, const ProtobufCMessage *reply);

/** metrics_forget() - ask the guest again. */
void metrics_forget(struct container *c);

#endif
