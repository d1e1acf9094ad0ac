/* SPDX-License-Identifier: Apache-2.0 */
/* netns.h - namespaces: the only place that changes that of this process, and always back */
#ifndef QBX_NET_NETNS_H
#define QBX_NET_NETNS_H

#include "box.h"
#include "config.h"
#include "err.h"
#include "lease.h"

#define NETNS_DIR "/run/netns" /* where ip-netns(8) and others look */
#define NETNS_PATH_MAX (sizeof(NETNS_DIR "/") + BOX_KEY_MAX)

struct nl_sock;

/** netns_path() - where the namespace of a box is. Return: @path. */
const char *netns_path(char path[NETNS_PATH_MAX], const char *key);

/** netns_create() - a new namespace, lo up, mounted at @path. Return: 0, or -1 and undone. */
int netns_create(const char *path, struct qbx_err *err) _must_check_;

/** netns_open() - Return: descriptor that the caller closes, or -1 with @err (err->sys ENOENT). */
int netns_open(const char *path, struct qbx_err *err) _must_check_;

/** netns_is() - is it @ns that one finds at @path? Return: 0, or -1 with @err. */
int netns_is(const char *path, int ns, struct qbx_err *err) _must_check_;

/**
 * netns_open_given() - one that somebody else has made, by a path of any kind
 * @id: what it must be; filled in where it says "any"
 * Return: descriptor that the caller closes, or -1 with @err (err->sys ENOENT: gone, or another one).
 */
int netns_open_given(const char *path, struct netns_id *id, struct qbx_err *err) _must_check_;

/** netns_of() - the namespace of a lease; as netns_open(). */
int netns_of(const struct lease *l, const char *key, struct qbx_err *err) _must_check_;

/** netns_path_of() - where that is: @path, filled in, or the given one. */
const char *netns_path_of(const struct lease *l, const char *key, char path[NETNS_PATH_MAX]);

/** netns_remove() - unmount and unlink. Return: 0 (also when absent), or -1 with @err. */
int netns_remove(const char *path, struct qbx_err *err) _must_check_;

/** netns_socket() - a route netlink socket that stays in @ns; nl_socket_free(). NULL with @err. */
struct nl_sock *netns_socket(int ns, struct qbx_err *err) _must_check_;

/** netns_open_file() - open(2) @path while inside @ns. Return: descriptor, or -1 with @err. */
int netns_open_file(int ns, const char *path, int flags, struct qbx_err *err) _must_check_;

/* standin.c */

/**
 * standin_create() - a namespace at @path that looks, to a plugin, like the one that has gone
 * The lease then owns it. Not having it is no error: DEL must do without.
 * Return: descriptor that the caller closes, or -1.
 */
int standin_create(const struct config *cfg, const char *key, const char *path, struct lease *l);

/** standin_addresses() - how many addresses an attachment has been given. */
size_t standin_addresses(const struct attachment *at, const char *key);

/** standin_dress() - its interface again, with @n of its addresses from the @first on. */
void standin_dress(int ns, const struct attachment *at, const char *key, size_t first, size_t n);

#endif
