/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - a further process in a container: registered, started, ended, deleted */
#ifndef QBX_INIT_EXEC_H
#define QBX_INIT_EXEC_H

#include "container.h"

#define EXECS_MAX 256u	   /* of a container */
#define EXEC_STARTS_MAX 4u /* at once, in the whole guest */

/*
 * ADDED -> STARTING -> RUNNING -> STOPPED -> gone; one that cannot be started goes from STARTING to
 * STOPPED. crun works for it while it is STARTING, or it waits in the queue: too many cruns at once
 * would leave no time for PID 1 to serve, and take memory that the containers want.
 */
enum exec_state { EXEC_ADDED, EXEC_STARTING, EXEC_RUNNING, EXEC_STOPPED };

struct exec {
	struct container *container;
	struct exec *next, *queued;
	enum exec_state state;
	char id[BOX_NAME_MAX + 1];
	char dir[sizeof(((struct container *)0)->dir) + sizeof("/exec-") + BOX_NAME_MAX];
	struct process process;
	json_t *spec;		 /* its OCI process */
	int fds[3];		 /* of the process, until it starts; -1: none */
	struct ttrpc_call *call; /* Start, waiting for crun */
	bool working;		 /* crun, for us */
};

struct exec *exec_find(const struct container *c, const char *id);

/* Each answers @call, now or later. */
void exec_add(struct container *c, struct ttrpc_call *call, const Qemubox__Task__ExecRequest *r);
void exec_start(struct exec *e, struct ttrpc_call *call);
void exec_delete(struct exec *e, struct ttrpc_call *call);

/** exec_busy() - does any of a container still run, or is any being started? */
bool exec_busy(const struct container *c);

/** exec_starting() - does crun work for any of a container? */
bool exec_starting(const struct container *c);

/** exec_free_all() - forget those of a container; none may be busy. */
void exec_free_all(struct container *c);

#endif
