/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - tell containerd what happens to tasks, in order
 *
 * Theory of Operation
 *
 * Events wait in one queue and go out one at a time, each when the one before it was taken, over a
 * connection of our own to $TTRPC_ADDRESS. Nobody waits for them. While containerd is away the
 * first one is tried again, later each time; after EVENTS_TRIES it is dropped, as is the oldest of
 * a full queue. A containerd that comes back asks for the state of each task anyway.
 */
#ifndef SHIM_EVENTS_H
#define SHIM_EVENTS_H

#include <protobuf-c/protobuf-c.h>

#include "loop.h"

#define EVENTS_MAX 1024u /* that wait */
#define EVENTS_TRIES 7u	 /* after 0, 1/4, 1/2, 1, 2, 4 and 8 seconds */

struct events;

/**
 * events_new() - a publisher
 * @address: path of containerd's ttrpc socket, or NULL: then events go nowhere
 * Return: the publisher, or NULL with @err. It borrows @address and @namespace.
 */
struct events *events_new(struct loop *loop, const char *address, const char *namespace,
			  struct qbx_err *err) _must_check_;
void events_free(struct events *ev);

/**
 * events_publish() - queue one
 * @topic: "/tasks/create"; a literal
 * @type: "containerd.events.TaskCreate"; a literal
 */
void events_publish(struct events *ev, const char *topic, const char *type,
		    const ProtobufCMessage *event);

/** events_on_idle() - call @fn once, when the queue is empty: from the loop, or at once. */
void events_on_idle(struct events *ev, loop_fn *fn, void *arg);

#endif
