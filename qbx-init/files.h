/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - single files of the host in a container's bundle: Guest/WriteFile */
#ifndef QBX_INIT_FILES_H
#define QBX_INIT_FILES_H

#include "err.h"
#include "ttrpc.h"

/** files_handle() - serve WriteFile */
void files_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

/**
 * files_take() - put what was sent for a container before there was one into its bundle
 * @dir: the bundle
 */
int files_take(const char *id, const char *dir, struct qbx_err *err) _must_check_;

#endif
