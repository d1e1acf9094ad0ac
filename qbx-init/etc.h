/* SPDX-License-Identifier: Apache-2.0 */
/* etc.h - hosts, hostname and resolv.conf of a container */
#ifndef QBX_INIT_ETC_H
#define QBX_INIT_ETC_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

/**
 * etc_mount() - write the files that say who a container is on its network, as the guest's interfaces
 * and resolver are now, and have the specification mount those for which it brings nothing of its own and
 * the image has, or can be given, a place
 * @dir: the bundle, with its root file system mounted
 * @spec: config.json, checked; "mounts" may grow
 * Return: 0, or -1 with @err.
 */
int etc_mount(const char *dir, json_t *spec, struct qbx_err *err) _must_check_;

/** etc_refresh() - write them again, in place, as the network is now. @dir: the bundle. */
int etc_refresh(const char *dir, struct qbx_err *err) _must_check_;

/** etc_covered() - does one of @mounts put something of its own on @path, or on a directory above? */
bool etc_covered(const json_t *mounts, const char *path);

#endif
