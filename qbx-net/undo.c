/* SPDX-License-Identifier: Apache-2.0 */
/* undo.c - give a box's network back, from what its lease says */
#include <errno.h>

#include "log.h"
#include "net.h"

/* Keep the first failure; say the later ones in passing. */
static void note(struct qbx_err *first, const struct qbx_err *e)
{
	if (first->code)
		log_warn("%s", e->msg);
	else
		*first = *e;
}

/* A stand-in that is of no use, as on a second try, is as good as none. */
static int del_plugin(const struct chain *chain, size_t p, bool standin, struct qbx_err *err)
{
	struct chain without = *chain;

	if (cni_del(chain, p, chain->at->result, err) == 0)
		return 0;
	if (!standin)
		return -1;
	log_debug("%s", err->msg);
	err_forget(err);
	without.netns = NULL;
	return cni_del(&without, p, chain->at->result, err);
}

/* One network, last plugin first. */
static void undo_network(const struct join *j, size_t i, struct qbx_err *first)
{
	const struct attachment *at = &j->lease->nets[i];
	struct chain chain = join_chain(j, i);
	struct qbx_err e = { 0 };
	bool failed = false;

	if (j->ns < 0)
		chain.netns = NULL;
	else if (at->tap[0] && tap_remove(j->ns, at->tap, &e) < 0)
		note(first, &e);
	for (size_t p = at->started; p-- > 0;) {
		err_forget(&e);
		if (del_plugin(&chain, p, j->lease->standin, &e) < 0) {
			note(first, &e);
			failed = true;
		}
	}
	if (!failed && cache_remove(j->cfg, j->key, at, &e) < 0)
		note(first, &e);
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

int undo(const struct join *with, struct qbx_err *err)
{
	struct qbx_err first = { 0 }, e = { 0 };
	_cleanup_close_ int ns = netns_open(with->path, &e);
	struct join j = *with;

	begin(&j);
	if (ns < 0 && e.sys != ENOENT)
		note(&first, &e);
	else if (ns < 0 || j.lease->standin) {
		cleanup_closep(&ns);
		ns = standin_create(j.cfg, j.key, j.path, j.lease);
	}
	j.ns = ns;
	for (size_t i = j.lease->nnets; i-- > 0;)
		undo_network(&j, i, &first);
	if (j.lease->owned && netns_remove(j.path, &e) < 0)
		note(&first, &e);
	if (!first.code && lease_remove(j.cfg, j.key, &e) < 0)
		note(&first, &e);
	if (!first.code)
		return 0;
	*err = first;
	return -1;
}
