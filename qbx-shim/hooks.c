/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c - the hooks of a specification that are programs of this host: what they are */
#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "json.h"

#define STATE_VERSION "1.2.0" /* of the OCI runtime specification */

static const char *const names[HOOK_KINDS] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

const char *hooks_name(enum hook_kind kind)
{
	return names[kind];
}

static int no_memory(struct qbx_err *err)
{
	return err_sys(err, ENOMEM, "take the hooks");
}

/* ---- what is in a specification ---- */

static bool are_strings(const json_t *list)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > HOOK_STRINGS_MAX)
		return false;
	json_array_foreach (list, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

_Static_assert(HOOK_TIMEOUT_MAX_S == 3600, "what fault_of() says");

/* Return: NULL, or what is wrong with it. */
static const char *fault_of(const json_t *hook)
{
	const char *path = json_string_value(json_object_get(hook, "path"));
	const json_t *args = json_object_get(hook, "args"), *env = json_object_get(hook, "env");
	const json_t *timeout = json_object_get(hook, "timeout");
	json_int_t s = json_integer_value(timeout);

	if (!path || path[0] != '/')
		return "path is no absolute path";
	if (args && !are_strings(args))
		return "args are no strings, or too many";
	if (env && !are_strings(env))
		return "env are no strings, or too many";
	if (timeout && (!json_is_integer(timeout) || s < 1 || s > HOOK_TIMEOUT_MAX_S))
		return "timeout is no number of seconds from 1 to 3600";
	return NULL;
}

static int check_list(const json_t *list, enum hook_kind kind, struct qbx_err *err)
{
	const char *fault;
	const json_t *hook;
	size_t i;

	if (!json_is_array(list))
		return err_code(err, EX_DATAERR, "hooks.%s is no array", names[kind]);
	if (json_array_size(list) > HOOKS_MAX)
		return err_code(err, EX_DATAERR, "hooks.%s has more than %u", names[kind],
				HOOKS_MAX);
	json_array_foreach (list, i, hook) {
		fault = fault_of(hook);
		if (fault)
			return err_code(err, EX_DATAERR, "hooks.%s[%zu]: %s", names[kind], i,
					fault);
	}
	return 0;
}

/* Return: 1 if there are any, 0, or -1 with @err. */
static int take_lists(struct hooks *h, json_t *from, struct qbx_err *err)
{
	int any = 0;

	for (enum hook_kind kind = 0; kind < HOOK_KINDS; kind++) {
		json_t *list = json_object_get(from, names[kind]);

		if (list && !json_is_null(list) && check_list(list, kind, err) < 0)
			return -1;
		if (json_array_size(list) > 0) {
			h->lists[kind] = json_incref(list);
			any = 1;
		}
		json_object_del(from, names[kind]);
	}
	return any;
}

static int take_state(struct hooks *h, const json_t *spec, const char *id, struct qbx_err *err)
{
	json_t *notes = json_object_get(spec, "annotations"), *note;
	const char *key;

	json_object_foreach (notes, key, note)
		if (!json_is_string(note))
			return err_code(err, EX_DATAERR, "annotation %.80s is no string", key);
	h->state = json_pack("{s:s, s:s, s:s}", "ociVersion", STATE_VERSION, "id", id, "bundle",
			     h->bundle);
	if (!h->state)
		return err_code(err, EX_DATAERR, "a bundle whose path is not UTF-8 has hooks");
	return json_is_object(notes) && json_object_set(h->state, "annotations", notes) < 0
		       ? no_memory(err)
		       : 0;
}

static int take_bundle(struct hooks *h, const char *bundle, struct qbx_err *err)
{
	h->bundle = strdup(bundle);
	if (h->bundle && asprintf(&h->path, "%s/" HOOKS_FILE, bundle) >= 0)
		return 0;
	h->path = NULL; /* it does not say what it left there */
	return no_memory(err);
}

int hooks_take(struct hooks *h, struct jobs *jobs, json_t *spec, const char *id, const char *bundle,
	       struct qbx_err *err)
{
	json_t *from = json_object_get(spec, "hooks");
	int any = json_is_object(from) ? take_lists(h, from, err) : 0;

	h->jobs = jobs;
	if (any <= 0)
		return any;
	return take_bundle(h, bundle, err) < 0 || take_state(h, spec, id, err) < 0 ? -1 : 1;
}

void hooks_free(struct hooks *h)
{
	job_forget(h->job);
	for (enum hook_kind kind = 0; kind < HOOK_KINDS; kind++)
		json_decref(h->lists[kind]);
	json_decref(h->state);
	free(h->bundle);
	free(h->path);
	memset(h, 0, sizeof(*h));
}

/* ---- what they are told ---- */

char *hooks_state(const struct hooks *h)
{
	static const char *const status[HOOK_KINDS] = { "creating", "creating", "running",
							"stopped" };
	json_auto_t *state = json_copy(h->state);

	if (!state || json_object_set_new(state, "status", json_string(status[h->kind])) < 0 ||
	    (h->kind != HOOK_POSTSTOP &&
	     json_object_set_new(state, "pid", json_integer(h->pid)) < 0))
		return NULL;
	return json_dumps(state, JSON_COMPACT);
}

/* ---- the file ---- */

int hooks_save(const struct hooks *h, const struct proc_id *running, struct qbx_err *err)
{
	const json_t *poststop = h->lists[HOOK_POSTSTOP];
	json_auto_t *file = json_pack("{s:O, s:I}", "state", h->state, "next", (json_int_t)h->next);

	if (!file ||
	    (poststop && json_object_set(file, names[HOOK_POSTSTOP], (json_t *)poststop) < 0) ||
	    (running && json_object_set_new(file, "running", proc_to_json(running)) < 0))
		return no_memory(err);
	return json_write_file(AT_FDCWD, h->path, 0600, file, err);
}

int hooks_restore(struct hooks *h, const json_t *file, struct proc_id *running, struct qbx_err *err)
{
	json_t *list = json_object_get(file, names[HOOK_POSTSTOP]);
	json_t *state = json_object_get(file, "state"), *ran = json_object_get(file, "running");
	const char *bundle = json_string_value(json_object_get(state, "bundle"));
	json_int_t next = json_integer_value(json_object_get(file, "next"));

	running->pid = 0;
	if (!bundle)
		return err_code(err, EX_DATAERR, HOOKS_FILE ": no state");
	if ((list && check_list(list, HOOK_POSTSTOP, err) < 0) ||
	    (ran && proc_from_json(ran, running, err) < 0))
		return err_wrap(err, HOOKS_FILE);
	if (next < 0 || next > (json_int_t)json_array_size(list))
		return err_code(err, EX_DATAERR, HOOKS_FILE ": no hook %" JSON_INTEGER_FORMAT,
				next);
	h->state = json_incref(state);
	h->lists[HOOK_POSTSTOP] = json_incref(list);
	h->next = (size_t)next;
	h->recorded = true;
	return take_bundle(h, bundle, err);
}
