/* SPDX-License-Identifier: Apache-2.0 */
/* disks.h - disks that are volumes of a container */
#ifndef QBX_INIT_DISKS_H
#define QBX_INIT_DISKS_H

#include <jansson.h>

#include "err.h"

/**
 * disks_place() - put this guest's devices where a specification says "disk:<serial>"
 * That is, as the source of a bind mount, or of an entry of linux.devices; the container may use them.
 * @spec: as spec_adapt() has left it
 */
int disks_place(json_t *spec, struct qbx_err *err) _must_check_;

#endif
