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

/* Return: is the namespace still there? */
static bool undo_tap(const char *path, const struct lease *l, struct qbx_err *first)
{
	struct qbx_err e = { 0 };
	_cleanup_close_ int ns = netns_open(path, &e);

	bool failed = ns < 0 ? e.sys != ENOENT : l->tap && tap_remove(ns, &e) < 0;

	if (failed)
		note(first, &e);
	return ns >= 0;
}

/* Last plugin first. */
static void undo_chain(const struct chain *chain, const struct lease *l, struct qbx_err *first)
{
	for (size_t i = l->started; i-- > 0;) {
		struct qbx_err e = { 0 };

		if (cni_del(chain, i, l->result, &e) < 0)
			note(first, &e);
	}
}

int undo(const struct config *cfg, const char *key, const struct lease *l, int timeout_ms,
	 struct qbx_err *err)
{
	struct qbx_err first = { 0 }, e = { 0 };
	char path[NETNS_PATH_MAX];
	bool alive = undo_tap(netns_path(path, key), l, &first);
	struct chain chain = { .conf = &l->conf,
			       .bin_dir = cfg->cni_bin_dir,
			       .id = key,
			       .netns = alive ? path : NULL,
			       .timeout_ms = timeout_ms };

	undo_chain(&chain, l, &first);
	if (l->owned && netns_remove(path, &e) < 0)
		note(&first, &e);
	if (!first.code && lease_remove(cfg, key, &e) < 0)
		note(&first, &e);
	if (!first.code)
		return 0;
	*err = first;
	return -1;
}
