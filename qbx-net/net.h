/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - what qbx-net is, and what its command line says
 *
 * Theory of Operation
 *
 * A box has a network namespace of its own, /run/netns/<key>, and joins any of a few networks. Each
 * one's CNI chain puts an interface in it, net0 say, and qbx-net a TAP beside that, for the VM:
 * whatever arrives on one is sent out of the other before the namespace's own stack sees it, so the
 * guest takes the place, and the MAC, of net0. In the guest it is eth0; in the namespace that name is
 * left to others, who may fill it too.
 *
 * The lease is what undoing needs. It is on disk before the first thing is made, and grows before
 * each plugin starts; so whenever this process dies, the lease names all that there may be. Undoing
 * is the same code after a failed add, in del, and before an add that finds what a killed one left.
 */
#ifndef QBX_NET_H
#define QBX_NET_H

#include <stdbool.h>

#include "cli.h"
#include "err.h"

/* main.c */
struct net_opts {
	const char *plugin_timeout; /* seconds, as given; NULL for the default */
	const char *network;	    /* name; NULL for the default, or for none */
	const char *owner;	    /* pid, as given, or NULL */
	bool json;
};

extern struct net_opts net_opts;

/** net_plugin_timeout() - deadline of one plugin call in ms. Return: it, or -1 with @err. */
int net_plugin_timeout(struct qbx_err *err) _must_check_;

/* Each in a file of its name. */
extern const struct cli_verb verb_add, verb_check, verb_del, verb_gc, verb_list, verb_ready,
	verb_status, verb_sync;

#endif
