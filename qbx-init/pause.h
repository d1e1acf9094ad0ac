/* SPDX-License-Identifier: Apache-2.0 */
/* pause.h - a container stands still, and goes on */
#ifndef QBX_INIT_PAUSE_H
#define QBX_INIT_PAUSE_H

#include "container.h"

/* Each answers @call, now or later, but within PAUSE_MS. */
void container_pause(struct container *c, struct ttrpc_call *call);
void container_resume(struct container *c, struct ttrpc_call *call);

/** pause_go_on() - an exec of it has been started, or not: a pause may have waited for that */
void pause_go_on(struct container *c);

/** pause_ended() - it has ended: so has its pause, and what it wrote to goes on */
void pause_ended(struct container *c);

#endif
