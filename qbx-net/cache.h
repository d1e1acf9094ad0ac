/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - results of all CNI runtimes of this host, by cni_cache_dir */
#ifndef QBX_NET_CACHE_H
#define QBX_NET_CACHE_H

#include <jansson.h>
#include <stddef.h>

#include "config.h"
#include "err.h"
#include "networks.h"

/**
 * cache_write() - the entry of an attachment whose chain has run, in @netns
 * Return: 0, or -1 with @err.
 */
int cache_write(const struct config *cfg, const char *key, const char *netns,
		const struct attachment *at, struct qbx_err *err) _must_check_;

/** cache_remove() - Return: 0 (also when absent), or -1 with @err. */
int cache_remove(const struct config *cfg, const char *key, const struct attachment *at,
		 struct qbx_err *err) _must_check_;

/** cache_parse() - one entry; new, or NULL if it is none that libcni would count. */
json_t *cache_parse(const char *text, size_t len) _must_check_;

/** cache_read() - a new array of all entries, of anybody, by name; what is none is not there. */
json_t *cache_read(const struct config *cfg, struct qbx_err *err) _must_check_;

/**
 * cache_attachment() - an entry as what DEL needs, as if the whole chain had run
 * Return: 0 with @at to be freed, or -1 if it does not say enough.
 */
int cache_attachment(const json_t *entry, struct attachment *at) _must_check_;

#endif
