/* SPDX-License-Identifier: Apache-2.0 */
/* resources.h - linux.resources and linux.devices, made fit for a guest; touches nothing but memory */
#ifndef QBX_INIT_RESOURCES_H
#define QBX_INIT_RESOURCES_H

#include <jansson.h>

#include "err.h"

/**
 * resources_adapt() - limits, without what has the host's numbers; NULL is allowed
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int resources_adapt(json_t *resources, struct qbx_err *err) _must_check_;

/**
 * devices_adapt() - the device nodes, and the rules for their use, of a specification's "linux"
 * The guest has few devices that have the host's names and numbers. Another one is refused; but who
 * may use every device asked for all that there are, and does without it.
 */
int devices_adapt(json_t *linux_, struct qbx_err *err) _must_check_;

#endif
