/* SPDX-License-Identifier: Apache-2.0 */
/* join.h - a box on its way to its networks, and back */
#ifndef QBX_NET_JOIN_H
#define QBX_NET_JOIN_H

#include <jansson.h>
#include <stddef.h>

#include "cni.h"
#include "config.h"
#include "err.h"
#include "lease.h"
#include "phase.h"

struct nl_sock;

/* join.c */

/* A box on its way to its networks. All borrowed. */
struct join {
	const struct config *cfg;
	const char *key, *path; /* path: of the namespace */
	struct lease *lease;
	struct phases *phases;
	const struct lease_lock *lock; /* held; NULL while nothing is changed */
	int ns;			       /* descriptor of the namespace */
	int timeout_ms;
};

/** join_chain() - how the plugins of the @i-th network are called. */
struct chain join_chain(const struct join *j, size_t i);

/**
 * join_network() - run the chain of the @i-th network, and see to a TAP
 * The lease is written before whatever is made. Undoing is the caller's.
 * Return: the guest's interface as the document has it, a new reference, or NULL with @err.
 */
json_t *join_network(const struct join *j, size_t i, struct qbx_err *err) _must_check_;

/**
 * join_tap() - a TAP beside the interface of the @i-th network, whose place and MAC the guest takes
 * @link: the guest's interface, which is completed
 */
int join_tap(const struct join *j, size_t i, struct nl_sock *sock, json_t *link,
	     struct qbx_err *err) _must_check_;

/* adopt.c */

/**
 * adopt() - let the guest take the place of all that somebody else has put into the namespace
 * @links: gets one object an interface
 * The lease is written before whatever is made. Undoing is the caller's.
 */
int adopt(const struct join *j, json_t *links, struct qbx_err *err) _must_check_;

/* turn.c */

/**
 * turn_take() - wait until it is our turn to join the networks of @l
 * Return: descriptor to close when they are joined, or -1 if nobody needs to wait for us.
 */
int turn_take(const struct config *cfg, const struct lease *l);

/* undo.c */

/**
 * undo() - give everything back that @with->lease names, and then the lease
 * Goes on after a failure and reports the first one. The lease then stays, so that del can be tried
 * again: an address may still be taken.
 */
int undo(const struct join *with, struct qbx_err *err) _must_check_;

/**
 * undo_chain() - give back what the chain of the @i-th network made, and its cache entry
 * The lease is not written. Return: 0, or -1 with @err: what is first of several; others are said.
 */
int undo_chain(const struct join *j, size_t i, struct qbx_err *err) _must_check_;

/* plan.c: --dry-run */
int plan_add(const struct join *j, struct qbx_err *err) _must_check_;
int plan_del(const struct join *j, struct qbx_err *err) _must_check_;
int plan_sync(const struct join *j, const json_t *links, struct qbx_err *err) _must_check_;
int plan_gc(const struct conf *conf, size_t i, const json_t *valid, const struct config *cfg,
	    struct qbx_err *err) _must_check_;

#endif
