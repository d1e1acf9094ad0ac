/* SPDX-License-Identifier: Apache-2.0 */
/* brake.h - containers that are held back until the machine has been given more memory */
#ifndef QBX_INIT_BRAKE_H
#define QBX_INIT_BRAKE_H

#include "init.h"

/**
 * brake_set() - keep every container a little below what the guest has, or let go
 * @grows: the host gives more, and asks again soon; if it does not, they are let go after a while
 */
void brake_set(struct vm *vm, bool grows, uint64_t memory_total_kib);

#endif
