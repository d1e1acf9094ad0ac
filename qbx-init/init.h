/* SPDX-License-Identifier: Apache-2.0 */
/* init.h - PID 1 of the guest: what its parts show each other */
#ifndef QBX_INIT_H
#define QBX_INIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "err.h"
#include "guest.h"
#include "loop.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define BUNDLE_ROOT "/run/qbx" /* a container's bundle is BUNDLE_ROOT/<id> */
#define CRUN_ROOT "/run/crun"  /* crun's own state */
#define CGROUP_ROOT "/sys/fs/cgroup"
#define CONTAINERS_MAX 64u

struct child;
struct container;
struct cpus_wait;
struct door;
struct exec;
struct parked;

/* The guest as a whole. One VM holds any number of containers, which know nothing of each other. */
struct vm {
	struct loop *loop;
	struct rlimit files; /* for those that we start: how many descriptors they may have */
	uint8_t token[GUEST_TOKEN_LEN];
	struct child *children;	  /* child.c: processes whose end somebody wants to know */
	unsigned holds;		  /* child.c: child_hold() */
	struct visitor *visitors; /* door.c: connections that have yet to show the token */
	struct parked *parked;	  /* door.c: streams that wait for their container */
	unsigned nvisitors, nparked, nconns;
	struct watch *doors[2];	      /* door.c: the ports' */
	struct container *containers; /* container.c */
	struct exec *exec_queue;      /* exec.c: those that are to be started, in turn */
	unsigned nstarting;	      /* exec.c: that crun is working for */
	unsigned sealing;	      /* seal.c: processes that freeze */
	struct ttrpc_call *shutdown;  /* shutdown.c: the call that waits for the answer */
	struct ttrpc_conn *last_conn; /* the power goes when it closes */
	struct watch *brake;	      /* brake.c: lets containers go when the host has forgotten */
	struct cpus_wait *cpus_wait;  /* cpus.c: the call that waits for processors, or NULL */
	struct ttrpc_call *oom_call;  /* oom.c: the call that waits for a kill, or NULL */
	bool promises;		      /* brake.c: more memory may be asked for than there is */
	bool going_down;
};

/* power.c */

/** power_off() - end the machine, so that QEMU ends as well; does not return. */
_Noreturn void power_off(void);

/** die() - print one line and power_off(): what PID 1 does where others exit. */
_Noreturn void die(const struct qbx_err *err);

/* root.c */

/** root_make() - console, a root that pivot_root can leave, and every file system of the guest */
int root_make(struct qbx_err *err) _must_check_;

/* cmdline.c */

/**
 * cmdline_port() - the number in "qbx.port=N" of a kernel command line
 * Return: the port, 1 to UINT32_MAX - 1, or 0 with @err when it is missing or not a port.
 */
unsigned cmdline_port(const char *cmdline, struct qbx_err *err) _must_check_;

/* child.c */

/** child_fn - a watched child ended; @status is proc_exit_status(). */
typedef void child_fn(void *arg, int status);

/** child_start() - from here on every child of PID 1, ours or inherited, is reaped. */
int child_start(struct vm *vm, struct qbx_err *err) _must_check_;

/**
 * child_watch() - have @fn called, once, from the loop, when the child @pid ends
 * Until then @pid stays that process, because nobody else reaps. ESRCH if it is no child of ours.
 */
int child_watch(struct vm *vm, pid_t pid, child_fn *fn, void *arg,
		struct qbx_err *err) _must_check_;

/**
 * child_hold() - a process that is to be watched may become our child, and end, before its pid is known
 * Until as many have let go again, no orphan is reaped. To let go, after child_watch(), is for a
 * child_fn or before any process was started.
 */
void child_hold(struct vm *vm, bool hold);

/* door.c: ports 1024 and 1025 */

/** door_open() - listen; connections are served once loop_run() runs and vm->token is set. */
int door_open(struct vm *vm, struct qbx_err *err) _must_check_;

/** door_claim() - the parked connection of a stream. Return: socket, the caller's; -1 if none. */
int door_claim(struct vm *vm, uint32_t stream);

/* task.c, shutdown.c: what port 1024 serves */

/** task_methods - GUEST_TASK_SERVICE and GUEST_SERVICE; the argument is the struct vm. */
extern const struct ttrpc_method task_methods[];

void shutdown_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg);

/** shutdown_check() - a container ended or a connection closed: can the guest go down now? */
void shutdown_check(struct vm *vm);
void shutdown_closed(struct vm *vm, const struct ttrpc_conn *conn);

#endif
