/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - the socket on which containerd finds a shim */
#ifndef SHIM_ADDRESS_H
#define SHIM_ADDRESS_H

#include <sys/un.h>

#include "err.h"
#include "flags.h"

#define ADDRESS_DIR \
	"/run/containerd/s" /* containerd's own choice, whatever its state directory \
			     */
#define ADDRESS_SCHEME "unix://"

/**
 * address_make() - where the shim of a container listens
 * <dir>/<SHA-256 of "<containerd's address>/<namespace>/<group>">; the group is the pod that the
 * annotations of <bundle>/config.json name, or the id. A config.json that is absent or broken names
 * no pod: that it is broken is for Create to say.
 * @dir: NULL for ADDRESS_DIR
 * @bundle: directory of config.json
 * Return: 0, or -1 with @err.
 */
int address_make(struct sockaddr_un *un, const char *dir, const struct flags *f, const char *bundle,
		 struct qbx_err *err) _must_check_;

/** address_alive() - does somebody accept connections there? */
bool address_alive(const struct sockaddr_un *un);

/**
 * address_listen() - bind and listen, mode 0600; a dead socket in the way is replaced
 * Return: descriptor; -1 with @err, and err->sys is EADDRINUSE if a live shim has it.
 */
int address_listen(const struct sockaddr_un *un, struct qbx_err *err) _must_check_;

#endif
