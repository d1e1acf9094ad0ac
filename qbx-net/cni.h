/* SPDX-License-Identifier: Apache-2.0 */
/* cni.h - calls of plugins */
#ifndef QBX_NET_CNI_H
#define QBX_NET_CNI_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "conf.h"
#include "err.h"
#include "networks.h"

struct lease_lock;

/* How the plugins of a chain are called. All borrowed. */
struct chain {
	const struct attachment *at;
	const char *bin_dir;	       /* colon-separated */
	const char *id;		       /* CNI_CONTAINERID; NULL: it is not about a box */
	const char *netns;	       /* NULL: gone, which DEL allows */
	int timeout_ms;		       /* of one call */
	const struct lease_lock *lock; /* where the plugin that runs is written down, or NULL */
};

#define CNI_ENV_MAX 8

/* One call of one plugin, ready to be run or shown. */
struct cni_call {
	const char *command, *type;
	char path[PATH_MAX];	    /* the program */
	char *env[CNI_ENV_MAX + 1]; /* owned, NULL-terminated */
	json_t *input;		    /* owned; its standard input */
};

/**
 * cni_prepare() - find the plugin and put its call together
 * @command: "ADD", "DEL", "CHECK", "STATUS", "GC" or "VERSION"
 * @prev: result of the plugin before it (ADD) or of the last one (DEL, CHECK), or the attachments that
 * are valid (GC); borrowed; or NULL
 * Return: 0, or -1 with @err (EX_UNAVAILABLE when the program is missing).
 */
int cni_prepare(const struct chain *chain, size_t i, const char *command, const json_t *prev,
		struct cni_call *call, struct qbx_err *err) _must_check_;

/** cni_call_free() - also fit for _cleanup_(cni_call_free). */
void cni_call_free(struct cni_call *call);

/* What came of an ADD. */
struct cni_added {
	json_t *result;		   /* new reference, or NULL */
	bool refused;		   /* the plugin itself said that it failed */
	unsigned long long ran_us; /* the plugin's own time */
};

/** cni_add() - ADD the i-th plugin. Return: 0, or -1 with @err. */
int cni_add(const struct chain *chain, size_t i, const json_t *prev, struct cni_added *added,
	    struct qbx_err *err) _must_check_;

/** cni_del() - DEL the i-th plugin. Return: 0, or -1 with @err. */
int cni_del(const struct chain *chain, size_t i, const json_t *last,
	    struct qbx_err *err) _must_check_;

/** cni_check() - CHECK the i-th plugin. Return: 0, or -1 with @err: what it found. */
int cni_check(const struct chain *chain, size_t i, struct qbx_err *err) _must_check_;

/**
 * cni_network() - STATUS or GC of the i-th plugin: of a network, and not of a box
 * @attachments: those that are valid, for GC, borrowed; or NULL
 * Return: 0, or -1 with @err.
 */
int cni_network(const struct conf *conf, size_t i, const char *command, const json_t *attachments,
		const char *bin_dir, int timeout_ms, struct qbx_err *err) _must_check_;

/** cni_version() - what the i-th plugin answers to VERSION; new, or NULL with @err. */
json_t *cni_version(const struct conf *conf, size_t i, const char *bin_dir, int timeout_ms,
		    struct qbx_err *err) _must_check_;

#endif
