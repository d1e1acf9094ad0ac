/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - Create: from containerd's request to a container that stands in its VM */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <string.h>

#include "bundle.h"
#include "container.h"
#include "events.h"
#include "files.h"
#include "io.h"
#include "log.h"
#include "task.h"
#include "volumes.h"

/* ---- failure ---- */

void container_abort(struct container *c, const struct qbx_err *why)
{
	if (c->failed)
		return;
	c->failed = true;
	c->why = *why;
	log_error("create %s: %s: %s", c->id, why->stage, why->msg);
	fifos_close(&c->init.io);
	hooks_stop(&c->hooks);
	sandbox_down(c->sandbox);
}

/*
 * What was missing on the way is not the task itself, and what was there already is not this task:
 * those two codes would tell containerd something about its own records.
 */
static enum ttrpc_code create_code(const struct qbx_err *err)
{
	switch (err->sys) {
	case ENOTSUP:
		return TTRPC_UNIMPLEMENTED;
	case ENOENT:
	case ESRCH:
		return TTRPC_FAILED_PRECONDITION;
	case EEXIST:
		return strcmp(err->stage, "qbx-shim") ? TTRPC_FAILED_PRECONDITION
						      : TTRPC_ALREADY_EXISTS;
	default:
		return ttrpc_code_of(err);
	}
}

static void fail_create(struct ttrpc_call *call, const struct qbx_err *err)
{
	char text[ERR_TEXT_MAX];

	ttrpc_fail(call, create_code(err), "%s", err_text(err, text));
}

/* Nothing of it is left, or as little as could be reached. */
static void create_undone(struct container *c, const struct qbx_err *err)
{
	Qemubox__Task__DeleteResponse m = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;
	struct timespec now;

	if (err)
		log_error("create %s: not undone: %s: %s", c->id, err->stage, err->msg);
	fail_create(take_ptr(c->creating), &c->why);
	if (c->deleting) {
		clock_gettime(CLOCK_REALTIME, &now);
		m.exit_status = PROCESS_KILLED;
		m.exited_at = timestamp(&at, &now);
		ttrpc_reply(take_ptr(c->deleting), &m.base);
	}
	container_free(c);
}

/* ---- the way there: sandbox, stdio, guest ---- */

static void on_guest_created(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
			     const char *message)
{
	struct container *c = arg;
	Qemubox__Task__CreateResponse m = QEMUBOX__TASK__CREATE_RESPONSE__INIT;
	struct qbx_err err = { .stage = "guest" };

	(void)reply;
	if (c->failed)
		return;
	if (code == TTRPC_UNAVAILABLE || code == TTRPC_CANCELLED) {
		sandbox_suspect(c->sandbox, message); /* tells why, soon */
		return;
	}
	if (code != TTRPC_OK) {
		err_code(&err, code == TTRPC_INVALID_ARGUMENT ? EX_DATAERR : EX_UNAVAILABLE, "%s",
			 message);
		container_abort(c, &err);
		return;
	}
	sandbox_time(c->sandbox, "task", c->init.mark);
	sandbox_time(c->sandbox, "create", c->begun);
	free(take_ptr(c->init.spec));
	c->state = CONTAINER_STANDING;
	c->init.state = PROCESS_CREATED;
	process_await(&c->init);
	oom_watch(c);
	m.pid = (uint32_t)c->pid;
	publish_create(c);
	ttrpc_reply(take_ptr(c->creating), &m.base);
	malloc_trim(0); /* the documents of the way here were the most that it ever needs */
}

/* All that the guest needs is there. */
static void on_files(void *arg, enum ttrpc_code code, const char *message)
{
	struct container *c = arg;
	const json_t *doc = c->sandbox->box.doc, *fs = json_object_get(doc, "fs");
	const char *accel = json_string_value(json_object_get(json_object_get(doc, "vm"), "accel"));
	bool emulated = accel && !strcmp(accel, "tcg");
	struct process *p = &c->init;
	struct task_io io = process_task_io(p);
	struct qbx_err own = { .stage = "guest" };

	if (code != TTRPC_OK || c->failed)
		on_guest_created(c, code, NULL, message);
	else if (volumes_place_text(&p->spec, &p->spec_len, json_object_get(fs, "volumes"),
				    emulated, &own) < 0 ||
		 task_create(c->sandbox->control, c->id, p->spec, p->spec_len,
			     json_object_get(fs, "mounts"), &io, on_guest_created, c, &own) < 0)
		container_abort(c, &own);
}

static void on_stdio(void *arg, const struct qbx_err *err)
{
	struct process *p = arg;
	struct container *c = p->container;
	struct sandbox *s = c->sandbox;
	json_t *fs = json_object_get(s->box.doc, "fs");
	struct qbx_err own = { .stage = "guest" };

	if (err) {
		own = *err;
		container_abort(c, &own);
		return;
	}
	sandbox_time(s, "stdio", p->mark);
	p->mark = io_now_us();
	if (!s->control) /* just gone: the sandbox is about to say so */
		return;
	s->files = files_new(s->shim->loop, json_object_get(fs, "volumes"), c->id, &own);
	if (!s->files || files_send(s->files, s->control, on_files, c, &own) < 0)
		container_abort(c, &own);
}

void container_make(struct container *c)
{
	struct qbx_err err = { .stage = "guest" };

	c->init.mark = io_now_us();
	if (fifos_dial(&c->init.io, &c->sandbox->guest, &c->sandbox->next_stream, on_stdio,
		       &c->init, &err) < 0)
		container_abort(c, &err);
}

static void on_up(void *arg)
{
	struct container *c = arg;

	c->pid = c->sandbox->pid;
	container_hooks_create(c);
}

static void on_lost(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	if (c->state == CONTAINER_CREATING)
		container_abort(c, err);
	else
		container_lost(c, err);
}

static void on_down(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	if (c->state == CONTAINER_CREATING)
		create_undone(c, err);
	else
		container_sandbox_down(c, err);
}

static void on_stopped(void *arg)
{
	container_hooks_stop(arg);
}

static void on_held(void *arg, bool hold)
{
	container_hold(arg, hold);
}

static const struct sandbox_ops ops = { on_up, on_lost, on_held, on_stopped, on_down };

/* ---- the request ---- */

static int check_request(const struct shim *shim, const Qemubox__Task__CreateRequest *r,
			 struct qbx_err *err)
{
	if (!box_name_ok(r->id))
		return err_code(err, EX_DATAERR,
				"the id must be letters and digits joined by single "
				"'.', '_' or '-', at most %d",
				BOX_NAME_MAX);
	if (container_find(shim, r->id))
		return err_sys(err, EEXIST, "task %s", r->id);
	if (shim->containers)
		return err_sys(err, ENOTSUP, "a second container (%s) in the VM of %s", r->id,
			       shim->containers->id);
	if (r->bundle[0] != '/')
		return err_code(err, EX_DATAERR, "bundle \"%s\" is no absolute path", r->bundle);
	if (r->checkpoint[0] || r->parent_checkpoint[0])
		return err_sys(err, ENOTSUP, "restoring a checkpoint");
	return 0;
}

static json_t *mount_of(const Qemubox__Task__Mount *m)
{
	json_t *options = json_array();

	for (size_t i = 0; i < m->n_options; i++) {
		if (json_array_append_new(options, json_string(m->options[i])) < 0) {
			json_decref(options);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:o}", "type", m->type, "source", m->source, "options",
			 options);
}

/* What the specification names: the client keeps it on this host. */
static json_t *root_of(const Qemubox__Task__CreateRequest *r, const json_t *spec)
{
	const char *path =
		json_string_value(json_object_get(json_object_get(spec, "root"), "path"));
	json_t *source;

	if (!path)
		return json_array();
	source = path[0] == '/' ? json_string(path) : json_sprintf("%s/%s", r->bundle, path);
	return json_pack("[{s:s, s:o}]", "type", "bind", "source", source);
}

/* Return: new reference, or NULL when a string is not UTF-8. */
static json_t *rootfs_of(const Qemubox__Task__CreateRequest *r, const json_t *spec)
{
	json_t *rootfs = r->n_rootfs ? json_array() : root_of(r, spec);

	for (size_t i = 0; i < r->n_rootfs; i++) {
		if (json_array_append_new(rootfs, mount_of(r->rootfs[i])) < 0) {
			json_decref(rootfs);
			return NULL;
		}
	}
	return rootfs;
}

static int add_network(json_t *doc, const json_t *spec, struct qbx_err *err)
{
	struct bundle_network net;

	if (bundle_network(spec, &net, err) < 0)
		return -1;
	if ((net.netns && json_object_set_new(doc, "netns", json_string(net.netns)) < 0) ||
	    (net.none && json_object_set_new(doc, "network", json_string("none")) < 0))
		return err_code(err, EX_DATAERR, "config.json: a path that is not UTF-8");
	return 0;
}

/* The document's input part. */
static json_t *document_of(const struct shim *shim, const Qemubox__Task__CreateRequest *r,
			   const json_t *spec, struct qbx_err *err)
{
	json_t *rootfs = rootfs_of(r, spec);
	json_t *doc =
		rootfs ? json_pack("{s:i, s:s, s:s, s:s, s:o}", "qbx", 1, "id", r->id, "namespace",
				   shim->namespace, "bundle", r->bundle, "rootfs", rootfs)
		       : NULL;

	if (!doc)
		err_code(err, EX_DATAERR, "the request holds a path that is not UTF-8");
	if (doc && (add_network(doc, spec, err) < 0 || bundle_writable(spec, doc, err) < 0))
		json_decref(take_ptr(doc));
	return doc;
}

/* The specification as the guest gets it: without the hooks that are ours. */
static int take_hooks(struct container *c, json_t *spec, struct qbx_err *err)
{
	int any = hooks_take(&c->hooks, &c->shim->jobs, spec, c->id, c->bundle, err);

	if (any < 0)
		return err_wrap(err, "config.json");
	if (any == 0)
		return 0;
	free(c->init.spec);
	c->init.spec = json_dumps(spec, JSON_COMPACT);
	if (!c->init.spec)
		return err_sys(err, ENOMEM, "take the hooks");
	c->init.spec_len = strlen(c->init.spec);
	if (c->init.spec_len > BUNDLE_SPEC_MAX)
		return err_code(err, EX_DATAERR, "config.json: more than %u bytes",
				BUNDLE_SPEC_MAX);
	return 0;
}

static struct container *container_new(struct shim *shim, const Qemubox__Task__CreateRequest *r,
				       json_t **spec, struct qbx_err *err)
{
	const struct process_io io = { r->stdin, r->stdout, r->stderr, r->terminal };
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		err_sys(err, ENOMEM, "make a container");
		return NULL;
	}
	c->shim = shim;
	c->begun = io_now_us();
	c->next = shim->containers;
	shim->containers = c;
	c->id = strdup(r->id);
	c->bundle = strdup(r->bundle);
	if (!c->id || !c->bundle)
		err_sys(err, ENOMEM, "make a container");
	else if (process_init(&c->init, c, "", &io, err) == 0)
		*spec = bundle_read_spec(r->bundle, &c->init.spec, &c->init.spec_len, err);
	if (*spec && take_hooks(c, *spec, err) == 0)
		return c;
	container_free(c);
	return NULL;
}

void container_create(struct shim *shim, struct ttrpc_call *call,
		      const Qemubox__Task__CreateRequest *r)
{
	struct qbx_err err = { .stage = "qbx-shim" };
	json_auto_t *spec = NULL;
	struct container *c;
	json_t *doc;

	if (check_request(shim, r, &err) < 0 || !(c = container_new(shim, r, &spec, &err))) {
		fail_create(call, &err);
		return;
	}
	c->creating = call;
	doc = document_of(shim, r, spec, &err);
	c->sandbox = doc ? sandbox_new(shim, doc, &ops, c, &err) : NULL;
	if (!c->sandbox) {
		fail_create(take_ptr(c->creating), &err);
		container_free(c);
	}
}
