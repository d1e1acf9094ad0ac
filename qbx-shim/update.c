/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - Update: other limits for a task
 *
 * First the VM grows, if what is asked for now is more than it has; then the guest gets the limits.
 * Where the VM cannot follow nothing is changed. A VM is not made smaller for a lower limit: what it
 * does not use it gives back by itself.
 */
#include <errno.h>
#include <string.h>

#include "bundle.h"
#include "container.h"
#include "guest.h"
#include "json.h"
#include "scale.h"
#include "task.h"

struct update {
	struct container *container;
	struct ttrpc_call *call;
	json_t *all; /* the resources of config.json, with every Update laid over them */
	size_t len;
	char text[]; /* of this one */
};

static void update_free(struct update *u)
{
	json_decref(u->all);
	free(u);
}

static void fail(struct update *u, const struct qbx_err *err)
{
	char text[ERR_TEXT_MAX];
	enum ttrpc_code code = err->code == EX_DATAERR	  ? TTRPC_INVALID_ARGUMENT
			       : err->code == EX_TEMPFAIL ? TTRPC_UNAVAILABLE
							  : TTRPC_FAILED_PRECONDITION;

	ttrpc_fail(u->call, code, "update: %s", err_text(err, text));
	update_free(u);
}

static void on_guest_updated(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			     const char *message)
{
	struct update *u = arg;
	struct container *c = u->container;

	if (code == TTRPC_OK) {
		json_decref(c->resources);
		c->resources = take_ptr(u->all);
		ttrpc_reply(u->call, reply);
	} else {
		ttrpc_fail(u->call, code, "update: %s", message);
	}
	update_free(u);
}

static void on_grown(void *arg, const struct qbx_err *err)
{
	struct update *u = arg;
	struct container *c = u->container;
	struct qbx_err gone = { .stage = "guest" };

	if (!err && !c->sandbox->control) {
		err_code(&gone, EX_TEMPFAIL, "the guest cannot be reached");
		err = &gone;
	}
	if (err)
		fail(u, err);
	else
		task_update(c->sandbox->control, c->id, u->text, u->len, on_guest_updated, u);
}

/* The specification as it would be with @resources laid over what holds now. */
static json_t *spec_with(const struct container *c, json_t *resources, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	json_t *spec, *linux_, *all;
	size_t len;

	spec = bundle_read_spec(c->bundle, &text, &len, err);
	linux_ = json_object_get(spec, "linux");
	if (!linux_)
		return spec;
	all = c->resources ? json_deep_copy(c->resources)
			   : json_incref(json_object_get(linux_, "resources"));
	if (!json_is_object(all)) {
		json_decref(all);
		all = json_object();
	}
	json_object_update_recursive(all, resources);
	json_object_set_new(linux_, "resources", all);
	return spec;
}

static int begin(struct update *u, json_t *resources, struct qbx_err *err)
{
	struct container *c = u->container;
	json_t *spec = spec_with(c, resources, err);
	json_t *doc = spec ? json_copy(c->sandbox->box.doc) : NULL;

	if (!spec)
		return -1;
	u->all = json_incref(json_object_get(json_object_get(spec, "linux"), "resources"));
	json_object_set_new(doc, "spec", spec);
	return scale_ask(c->sandbox->scale, doc, on_grown, u, err);
}

static struct update *update_new(struct container *c, struct ttrpc_call *call,
				 const Google__Protobuf__Any *any)
{
	struct update *u = calloc(1, sizeof(*u) + any->value.len);

	if (!u)
		return NULL;
	u->container = c;
	u->call = call;
	u->len = any->value.len;
	memcpy(u->text, any->value.data, u->len);
	return u;
}

static bool may_update(const struct container *c)
{
	return c->state == CONTAINER_STANDING && !container_paused(c) &&
	       c->init.state <= PROCESS_RUNNING && !c->init.exited && c->sandbox->scale;
}

void container_update(struct container *c, struct ttrpc_call *call,
		      const Qemubox__Task__UpdateRequest *r)
{
	json_auto_t *resources = NULL;
	struct qbx_err err = { .stage = "qbx-shim" };
	struct update *u;

	if (!may_update(c)) {
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "task %s %s", c->id,
			   c->init.exited ? "has ended" : "stands still");
		return;
	}
	if (!r->resources || strcmp(r->resources->type_url, GUEST_RESOURCES_TYPE)) {
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "update: resources hold no %s",
			   GUEST_RESOURCES_TYPE);
		return;
	}
	u = update_new(c, call, r->resources);
	if (!u) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "update: out of memory");
		return;
	}
	resources = json_parse(u->text, u->len, "resources", &err);
	if (!resources || begin(u, resources, &err) < 0)
		fail(u, &err);
}
