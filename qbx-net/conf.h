/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h - a CNI network configuration list, as it is read, and the version to speak */
#ifndef QBX_NET_CONF_H
#define QBX_NET_CONF_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "config.h"
#include "err.h"

/*
 * A network configuration list, checked: at least one plugin, each with a type that is a plain file
 * name, and so is its IPAM plugin's. Format: "Network configuration format" of the CNI specification, 0.3.0 to 1.1.0.
 */
struct conf {
	json_t *list;	     /* owned; NULL: there is no network */
	const char *name;    /* borrowed from list */
	const char *version; /* the one to speak; static */
	unsigned versions;   /* set of those that it allows */
	char path[PATH_MAX]; /* the file it came from */
};

/**
 * conf_find() - the network to join: the first file by name in cni_conf_dir, or the one called
 * @name
 * @name: cfg->cni_network, or NULL for the first
 * Return: 0 with conf->list NULL when there is no configuration at all, or -1 with @err
 * (EX_CONFIG).
 */
int conf_find(const struct config *cfg, const char *name, struct conf *conf,
	      struct qbx_err *err) _must_check_;

/**
 * conf_take() - check a list, or wrap a single plugin's configuration into one; takes @j
 * @path: the file it came from, for the error text
 */
int conf_take(struct conf *conf, json_t *j, const char *path, struct qbx_err *err) _must_check_;

/** conf_knows() - is it a version of CNI that is spoken here? */
bool conf_knows(const char *version);

/** conf_version_bit() - what stands for a version in a set; 0 for one that is not spoken here. */
unsigned conf_version_bit(const char *version);

/** conf_speak() - speak the newest of a set, which is not empty. */
void conf_speak(struct conf *conf, unsigned versions);

/** conf_says() - is a flag of the list set, as libcni reads it: true or "true"? */
bool conf_says(const struct conf *conf, const char *flag);

/** conf_free() - also fit for _cleanup_(conf_free). */
void conf_free(struct conf *conf);

size_t conf_count(const struct conf *conf);		  /* plugins in the chain */
const char *conf_type(const struct conf *conf, size_t i); /* the i-th one's type */
const char *conf_ipam(const struct conf *conf, size_t i); /* its IPAM plugin's type, or NULL */

/* version.c */

/**
 * version_settle() - decide the version to speak; asks the plugins only if there is a choice
 * Return: 0, or -1 with @err.
 */
int version_settle(struct conf *conf, const char *bin_dir, int timeout_ms,
		   struct qbx_err *err) _must_check_;

#endif
