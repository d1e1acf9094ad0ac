/* SPDX-License-Identifier: Apache-2.0 */
/* oom.h - processes that the kernel killed for want of memory, told to the host */
#ifndef QBX_INIT_OOM_H
#define QBX_INIT_OOM_H

#include "container.h"

/** oom_watch() - look after a container that has a cgroup by now */
int oom_watch(struct container *c, struct qbx_err *err) _must_check_;

/** oom_look() - count what has been killed; so that it is told before the end of a process */
void oom_look(struct container *c);

/** oom_forget() - the container goes: what has not been told by now is not */
void oom_forget(struct container *c);

/** oom_handle() - Guest/AwaitOom: one call waits at a time, the last one */
void oom_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

#endif
