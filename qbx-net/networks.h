/* SPDX-License-Identifier: Apache-2.0 */
/* networks.h - the networks that a box joins, and what it asks of each; no system calls */
#ifndef QBX_NET_NETWORKS_H
#define QBX_NET_NETWORKS_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>

#include "conf.h"
#include "err.h"

#define NET_LINKS_MAX 4u   /* networks of a box: as many as qbx-vm gives a guest interfaces */
#define NET_ROUTES_MAX 64u /* of an interface: as many as qbx-vm tells a guest */

/* networks.c */

/* A box and one network that it joins, or has joined. */
struct attachment {
	const char *wanted;    /* the network's name in the document, borrowed; NULL: the default */
	char ifname[IFNAMSIZ]; /* of what the chain makes (CNI_IFNAME), or we adopt */
	char name[IFNAMSIZ];   /* in the guest */
	char tap[IFNAMSIZ];    /* there may be a TAP of ours of this name; "": not yet */
	json_t *caps, *args;   /* capability arguments, CNI_ARGS: objects, or NULL; owned */
	struct conf conf;      /* as it was at add; list NULL: an interface that was adopted */
	size_t started;	       /* this many plugins of the chain may have run */
	json_t *result;	       /* of the last that finished, or NULL; owned */
	unsigned undone;       /* set of plugins whose DEL has succeeded; not written down */
	bool adopted;	       /* somebody else's, as a document says; not written down */
	char nic[18]; /* MAC that the VM was started with at that TAP; "": the interface's */
};

/** attachment_free() - also fit for _cleanup_(attachment_free). */
void attachment_free(struct attachment *at);

struct lease;

/**
 * networks_take() - which networks a document wants, into l->nets, without their configurations
 * Format: "networks" in qbx-json(7).
 * Return: 0, or -1 with @err (EX_DATAERR).
 */
int networks_take(struct lease *l, const json_t *doc, struct qbx_err *err) _must_check_;

/* capability.c */

/**
 * capability_take() - a capability argument of that name into the object @caps, checked
 * Return: 1, 0 if no capability has that name, or -1 with @err (EX_DATAERR).
 */
int capability_take(json_t *caps, const char *name, json_t *value,
		    struct qbx_err *err) _must_check_;

/** capability_declared() - does a plugin's configuration say that it takes it? */
bool capability_declared(const json_t *plugin, const char *name);

/**
 * capability_check() - does the network do what was asked of it?
 * What no plugin declares and nobody would miss (names, and what only some hosts know) is passed over,
 * as libcni does with all.
 * Return: 0, or -1 with @err (EX_CONFIG).
 */
int capability_check(const struct attachment *at, struct qbx_err *err) _must_check_;

#endif
