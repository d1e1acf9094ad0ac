/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h - what undoing needs, on disk: /var/lib/qemubox/leases/<key>.json */
#ifndef QBX_NET_LEASE_H
#define QBX_NET_LEASE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "box.h"
#include "config.h"
#include "err.h"
#include "networks.h"
#include "proc.h"

#define NET_ATTACHED_MAX (2 * NET_LINKS_MAX) /* in a lease: what is new, and what it replaces */

/* What a namespace is, whatever its path is by now; ino 0: any. */
struct netns_id {
	unsigned long long dev, ino;
};

struct lease {
	bool owned;	 /* the namespace is of our making */
	bool standin;	 /* it is one of standin.c by now */
	unsigned queues; /* of each of the VM's interfaces, where its TAP can have several */
	char *given;	 /* path of one that somebody else has made and filled, or NULL; owned */
	struct netns_id given_id;
	struct attachment nets[NET_ATTACHED_MAX];
	size_t nnets;
	struct proc_id owner; /* the process it is made for; pid 0: none */
	json_t *net;	      /* what add answered, or NULL while it had not; owned */
};

/** lease_free() - also fit for _cleanup_(lease_free). */
void lease_free(struct lease *l);

/**
 * lease_read() - what is remembered of a box
 * Return: 1, 0 if there is none, or -1 with @err.
 */
int lease_read(const struct config *cfg, const char *key, struct lease *l,
	       struct qbx_err *err) _must_check_;

/** lease_write() - the lease of a box, in place of what there was. Return: 0, or -1 with @err. */
int lease_write(const struct config *cfg, const char *key, const struct lease *l,
		struct qbx_err *err) _must_check_;

/** lease_append() - the same where this process has written one: for a lease that grows, and cheaper. */
int lease_append(const struct config *cfg, const char *key, const struct lease *l,
		 struct qbx_err *err) _must_check_;
int lease_remove(const struct config *cfg, const char *key, struct qbx_err *err) _must_check_;

/*
 * Held while a box's network changes; its file exists only that long. With it goes a share of the
 * directory, of which who wants that no network changes takes all (lease_lock_all()).
 */
struct lease_lock {
	int fd, dirfd;
	char path[PATH_MAX];
};

/** lease_lock() - wait for and take the lock of a box. Return: 0, or -1 with @err. */
int lease_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
	       struct qbx_err *err) _must_check_;

/** lease_try_lock() - the same without waiting. Return: 1, 0 if it is taken, or -1 with @err. */
int lease_try_lock(const struct config *cfg, const char *key, struct lease_lock *lock,
		   struct qbx_err *err) _must_check_;

/** lease_lock_all() - wait for all boxes' locks. Return: descriptor that holds them, or -1. */
int lease_lock_all(const struct config *cfg, struct qbx_err *err) _must_check_;

/** lease_busy() - does somebody hold the lock of a box? */
bool lease_busy(const struct config *cfg, const char *key);

/** lease_box() - the box of a key, which need not end with a NUL. Return: 0, or -1 if it is none. */
int lease_box(const char *key, size_t len, struct box *box) _must_check_;

/** lease_unlock() - also fit for _cleanup_(lease_unlock). */
void lease_unlock(struct lease_lock *lock);

/* orphan.c */

/** orphan_note() - write down which plugin runs. Return: 0, or -1 with errno. */
int orphan_note(const struct lease_lock *lock, pid_t pid) _must_check_;

/** orphan_end() - end what the plugin of a killed holder has started; waits until it has gone. */
void orphan_end(const struct lease_lock *lock, const char *key);

/* life.c */
enum life { LIFE_BUSY, LIFE_USED, LIFE_KEPT, LIFE_DEAD };

const char *life_name(enum life life);

/**
 * life_of() - is a lease still wanted? Its lock is free, or held by the caller.
 * @why: set to the reason, in words
 */
enum life life_of(const struct config *cfg, const char *key, const struct lease *l,
		  const char **why);

/* status.c */

/**
 * status_report() - what is known of a box, as qbx-net(8) has it; without "why" if that is nothing
 * Return: new reference, or NULL with @err.
 */
json_t *status_report(const struct config *cfg, const struct box *box,
		      struct qbx_err *err) _must_check_;

/* list.c */
typedef int leases_fn(void *arg, const struct box *box, struct qbx_err *err);

/** leases_each() - @fn for each box that has a lease, or what is left of one, until it fails. */
int leases_each(const struct config *cfg, leases_fn *fn, void *arg,
		struct qbx_err *err) _must_check_;

#endif
