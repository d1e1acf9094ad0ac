/* SPDX-License-Identifier: Apache-2.0 */
/* undo.c - give a box's network back, from what its lease says */
#include <errno.h>
#include <string.h>

#include "cache.h"
#include "cni.h"
#include "conf.h"
#include "join.h"
#include "lease.h"
#include "link.h"
#include "log.h"
#include "netns.h"
#include "networks.h"

struct failures {
	struct qbx_err first;
	bool quiet; /* there will be another try */
};

/* Keep the first failure; say the later ones in passing. */
static void note(struct failures *f, const struct qbx_err *e)
{
	if (!f->first.code)
		f->first = *e;
	else if (f->quiet)
		log_debug("%s", e->msg);
	else
		log_warn("%s", e->msg);
}

/*
 * With a stand-in a plugin may give up at the first address that it has nothing of any more, as on a
 * second try: so it is asked about each alone. The verdict is of what it says without.
 */
static int del_with_standin(const struct join *j, const struct chain *chain, size_t p,
			    struct qbx_err *err)
{
	const struct attachment *at = chain->at;
	size_t n = standin_addresses(at, j->key);
	struct chain without = *chain;

	for (size_t i = 0; i < n; i++) {
		log_debug("%s", err->msg);
		standin_dress(j->ns, at, j->key, i, 1);
		err_forget(err);
		if (cni_del(chain, p, at->result, err) < 0 && err->code == EX_TEMPFAIL)
			return -1; /* not again and again */
	}
	err_forget(err);
	without.netns = NULL;
	return cni_del(&without, p, at->result, err);
}

/* An interface that was adopted stays, and answers for itself again. */
static int undo_tap(int ns, const struct attachment *at, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = NULL;

	if (!at->tap[0])
		return 0;
	if (tap_remove(ns, at->tap, err) < 0)
		return -1;
	if (at->conf.list)
		return 0;
	if (!at->ifname[0]) /* none was left for it */
		return 0;
	sock = netns_socket(ns, err);
	return sock ? redirect_remove(sock, at->ifname, err) : -1;
}

static int del_plugin(const struct join *j, const struct chain *chain, size_t p,
		      struct qbx_err *err)
{
	if (cni_del(chain, p, chain->at->result, err) == 0)
		return 0;
	if (!j->lease->standin || j->ns < 0 || err->code == EX_TEMPFAIL)
		return -1;
	return del_with_standin(j, chain, p, err);
}

/* One network, last plugin first; what has been undone before is not again. */
static void undo_network(const struct join *j, size_t i, struct failures *f)
{
	struct attachment *at = &j->lease->nets[i];
	struct chain chain = join_chain(j, i);
	struct qbx_err e = { 0 };
	bool failed = false;

	if (j->ns < 0)
		chain.netns = NULL;
	else if (undo_tap(j->ns, at, &e) < 0)
		note(f, &e);
	if (!at->conf.list)
		return;
	for (size_t p = at->started; p-- > 0;) {
		err_forget(&e);
		if (at->undone & 1u << p)
			continue;
		if (del_plugin(j, &chain, p, &e) == 0) {
			at->undone |= 1u << p;
			continue;
		}
		note(f, &e);
		failed = true;
	}
	if (!failed && cache_remove(j->cfg, j->key, at, &e) < 0)
		note(f, &e);
}

int undo_chain(const struct join *j, size_t i, struct qbx_err *err)
{
	struct failures f = { 0 };

	undo_network(j, i, &f);
	if (!f.first.code)
		return 0;
	*err = f.first;
	return -1;
}

/* Has it been joined by the @i-th attachment and another one? */
static bool joined_twice(const struct lease *l, size_t i)
{
	for (size_t k = 0; k < l->nnets; k++)
		if (k != i && l->nets[i].conf.list && l->nets[k].conf.list &&
		    !strcmp(l->nets[i].conf.name, l->nets[k].conf.name))
			return true;
	return false;
}

/*
 * One of which no result is known comes after those with which it may share something: these can be undone
 * once more without their interfaces, and this one cannot.
 */
static void undo_networks(const struct join *j, struct failures *f)
{
	const struct lease *l = j->lease;

	for (int unknown = 0; unknown <= 1; unknown++)
		for (size_t i = l->nnets; i-- > 0;)
			if ((!l->nets[i].result && joined_twice(l, i)) == unknown)
				undo_network(j, i, f);
}

/* From here on the box has no network that anybody could use, and gc takes it for dead. */
static void begin(const struct join *j)
{
	struct qbx_err e = { 0 };

	if (!j->lease->net)
		return;
	json_decref(take_ptr(j->lease->net));
	if (lease_write(j->cfg, j->key, j->lease, &e) < 0)
		log_debug("%s", e.msg);
}

/*
 * Two attachments to one network may share a rule that a plugin cannot remove before both have gone: it
 * fails for the first one of them, when its interface has gone already.
 */
static bool may_help_to_repeat(const struct join *j, const struct failures *f)
{
	return j->lease->nnets > 1 && j->lease->owned && f->first.code != EX_TEMPFAIL;
}

/* A stand-in for the namespace. Return: its descriptor, or -1. */
static int exchange(const struct join *j, struct failures *f)
{
	struct qbx_err e = { 0 };

	if (!j->lease->owned || netns_remove(j->path, &e) == 0)
		return standin_create(j->cfg, j->key, j->path, j->lease);
	note(f, &e);
	return -1;
}

static void repeat(struct join *j, struct failures *f)
{
	_cleanup_close_ int ns = -1;

	log_debug("%s", f->first.msg);
	*f = (struct failures){ 0 };
	ns = exchange(j, f);
	j->ns = ns;
	undo_networks(j, f);
}

/* Has a sync not come to its end? Then there is no telling what its DELs have found already. */
static bool half_synced(const struct lease *l)
{
	bool adopted = false, joined = false;

	for (size_t i = 0; i < l->nnets; i++) {
		adopted = adopted || !l->nets[i].conf.list;
		joined = joined || l->nets[i].conf.list;
	}
	return adopted && joined;
}

/*
 * Nor is there where the first of two attachments to one network may have been given back halfway, as far
 * as what they share: its interface has gone then, by which the plugin would find the rest.
 */
static bool half_undone(const struct lease *l)
{
	for (size_t i = 0; i < l->nnets; i++)
		if (joined_twice(l, i) && !l->nets[i].result)
			return false;
	for (size_t i = 0; !l->net && i < l->nnets; i++)
		if (joined_twice(l, i))
			return true;
	return false;
}

int undo(const struct join *with, struct qbx_err *err)
{
	struct failures f = { .quiet = with->lease->nnets > 1 && with->lease->owned };
	struct qbx_err e = { 0 };
	_cleanup_close_ int ns = netns_of(with->lease, with->key, &e);
	struct join j = *with;
	bool halfway = half_undone(with->lease) || half_synced(with->lease);

	begin(&j);
	if (ns < 0 && e.sys != ENOENT)
		note(&f, &e);
	else if (ns < 0 || j.lease->standin || (j.lease->owned && halfway)) {
		close(take_fd(&ns));
		ns = exchange(&j, &f);
	}
	j.ns = ns;
	undo_networks(&j, &f);
	if (f.first.code && may_help_to_repeat(&j, &f))
		repeat(&j, &f);
	if (j.lease->owned && netns_remove(j.path, &e) < 0)
		note(&f, &e);
	if (!f.first.code && lease_remove(j.cfg, j.key, &e) < 0)
		note(&f, &e);
	if (!f.first.code)
		return 0;
	*err = f.first;
	return -1;
}
