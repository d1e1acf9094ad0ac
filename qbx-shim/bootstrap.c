/* SPDX-License-Identifier: Apache-2.0 */
/* bootstrap.c - what containerd says on the standard input of "start" */
#include "bootstrap.h"

#include <string.h>

#include "shim.pb-c.h"

int bootstrap_decode(struct bootstrap *b, const uint8_t *data, size_t len, const char *id,
		     const char *namespace, struct qbx_err *err)
{
	Qemubox__Shim__BootstrapParams *p;
	int failed = 0;

	memset(b, 0, sizeof(*b));
	if (len == 0)
		return 0;
	p = qemubox__shim__bootstrap_params__unpack(NULL, len, data);
	if (!p)
		return err_code(err, EX_DATAERR,
				"standard input: neither BootstrapParams nor an Any of options");
	b->params = !strcmp(p->instance_id, id) && !strcmp(p->namespace_, namespace);
	if (b->params && p->socket_dir[0] && p->socket_dir[0] != '/')
		failed =
			err_code(err, EX_DATAERR, "standard input: socket_dir is no absolute path");
	else if (b->params && strlen(p->socket_dir) >= sizeof(b->socket_dir))
		failed = err_code(err, EX_DATAERR, "standard input: socket_dir is too long");
	else if (b->params)
		memcpy(b->socket_dir, p->socket_dir, strlen(p->socket_dir) + 1);
	qemubox__shim__bootstrap_params__free_unpacked(p, NULL);
	return failed;
}
