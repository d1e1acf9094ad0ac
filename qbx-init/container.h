/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - a container's life, from bundle to nothing */
#ifndef QBX_INIT_CONTAINER_H
#define QBX_INIT_CONTAINER_H

#include "box.h"
#include "crun.h"
#include "process.h"
#include "spec.h"

/*
 * CREATING -> CREATED -> STARTING -> RUNNING -> STOPPED -> DELETING -> gone
 *                        RUNNING -> PAUSING -> PAUSED -> RESUMING -> RUNNING
 * A created one can also stop, or be deleted, which kills it first; a paused one can stop. In the
 * states that end in -ING something is done for the call in @call, and other calls that would change
 * the state are refused.
 */
enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_PAUSING,
	CONTAINER_PAUSED,
	CONTAINER_RESUMING,
	CONTAINER_STOPPED,
	CONTAINER_DELETING,
};

/* oom.c: processes of a container that were killed for want of memory */
struct container_oom {
	int fd; /* memory.events, or -1 */
	struct watch *watch;
	uint64_t seen, untold;
};

struct container {
	struct vm *vm;
	struct container *next;
	enum container_state state;
	char id[BOX_NAME_MAX + 1];
	char dir[sizeof(BUNDLE_ROOT) + 1 + BOX_NAME_MAX]; /* the bundle, here */
	char *bundle;					  /* the bundle, as the host calls it */
	char cgroup[SPEC_CGROUP_MAX];
	uint64_t brake_kib; /* memory.high, while brake.c has set it */
	struct process init;
	struct ttrpc_call *call; /* waits for crun, or for init to end */
	bool forgetting;	 /* while DELETING: crun is at it */
	struct exec *execs;	 /* exec.c */
	struct pausing *pausing; /* pause.c */
	char *written;		 /* seal.c: where a disk to write to is mounted, below dir */
	struct seal *seal;	 /* seal.c */
	struct container_oom oom;
};

struct container *container_find(const struct vm *vm, const char *id);

/** container_state_name() - "running", for a message */
const char *container_state_name(const struct container *c);

/* Each answers @call, now or later. */
void container_create(struct vm *vm, struct ttrpc_call *call,
		      const Qemubox__Task__CreateRequest *r);
void container_start(struct container *c, struct ttrpc_call *call);
void container_delete(struct container *c, struct ttrpc_call *call);

/** container_quiet() - an exec of it has been started, or has ended: go on with what waited for that */
void container_quiet(struct container *c);

/* update.c */
void container_update(struct container *c, struct ttrpc_call *call,
		      const Qemubox__Task__UpdateRequest *r);

/** container_unmount() - leave its file systems in order, for the machine is going down */
void container_unmount(struct container *c);

#endif
