/* SPDX-License-Identifier: Apache-2.0 */
/* update.c - Task.Update: other limits for a container that stands */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "container.h"
#include "io.h"

/* The container may have gone while crun worked: the call is all that is needed. */
static void on_updated(void *arg, const struct qbx_err *err)
{
	Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;
	struct ttrpc_call *call = arg;

	if (err)
		ttrpc_fail_err(call, err);
	else
		ttrpc_reply(call, &empty.base);
}

static int write_resources(const char *path, const Google__Protobuf__Any *any, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	json_auto_t *resources = NULL;

	if (!any || strcmp(any->type_url, GUEST_RESOURCES_TYPE))
		return err_code(err, EX_DATAERR, "resources hold no " GUEST_RESOURCES_TYPE);
	resources = spec_adapt_update((const char *)any->value.data, any->value.len, err);
	if (!resources)
		return -1;
	text = json_dumps(resources, JSON_COMPACT);
	if (!text)
		return err_sys(err, ENOMEM, "write %s", path);
	return io_write_file(AT_FDCWD, path, 0600, text, strlen(text), err);
}

void container_update(struct container *c, struct ttrpc_call *call,
		      const Qemubox__Task__UpdateRequest *r)
{
	char path[sizeof(c->dir) + 16];
	const char *args[] = { "update", "--resources", path, c->id, NULL };
	struct qbx_err err = { 0 };

	if ((c->state != CONTAINER_CREATED && c->state != CONTAINER_RUNNING &&
	     c->state != CONTAINER_PAUSED) ||
	    c->init.ended) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is %s", c->id,
			   container_state_name(c));
		return;
	}
	snprintf(path, sizeof(path), "%s/resources.json", c->dir);
	if (write_resources(path, r->resources, &err) < 0 ||
	    crun_run(c->vm, c->dir, args, NULL, on_updated, call, &err) < 0)
		ttrpc_fail_err(call, &err);
}
