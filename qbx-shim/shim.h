/* SPDX-License-Identifier: Apache-2.0 */
/* shim.h - the actions of the command line, and what the serving one is made of */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <stdbool.h>

#include "config.h"
#include "flags.h"
#include "helper.h"
#include "loop.h"
#include "ttrpc.h"

#define SHIM_NAME "containerd-shim-qemubox-v1"
#define SHIM_LOG "log"	       /* FIFO in the bundle, read by containerd */
#define SHIM_ADDRESS "address" /* file in the bundle, read by containerd */

struct container;
struct events;

/*
 * The serving process. It serves one sandbox, as everything that shares a VM shares a shim; today a
 * sandbox holds one container.
 */
struct shim {
	struct loop *loop;
	struct config cfg;
	const char *namespace;
	struct jobs jobs;
	struct events *events;
	struct container *containers;
	struct serving *serving; /* sockets, of serve.c */
};

/* start.c - have a shim serve in the background, and say where */
int start_main(const struct flags *f, struct qbx_err *err) _must_check_;

/* serve.c - be that shim: standard input is the listening socket, the bundle where we are */
int serve_main(const struct flags *f, struct qbx_err *err) _must_check_;

/** shim_quit() - end the loop once what was answered and published has left, or soon after. */
void shim_quit(struct shim *shim);

/* delete.c - undo what a shim left, dead or not */
int delete_main(const struct flags *f, struct qbx_err *err) _must_check_;

/* info.c - what "-info" prints */
int info_main(struct qbx_err *err) _must_check_;

/* service.c - containerd.task.v2.Task and v3; the methods' argument is the shim */
extern const struct ttrpc_method service_methods[];

/** service_disconnected() - a connection has gone: forget the calls that wait on it. */
void service_disconnected(struct shim *shim);

#endif
