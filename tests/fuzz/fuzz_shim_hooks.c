/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_hooks.c - the hooks of a specification, and of the file that a shim leaves */
#include "fuzz.h"

#include "qbx-shim/hooks.c"
#include "qbx-shim/job.c"

static void check_lists(const struct hooks *h)
{
	const json_t *hook;
	size_t i;

	for (enum hook_kind kind = 0; kind < HOOK_KINDS; kind++) {
		if (json_array_size(h->lists[kind]) > HOOKS_MAX)
			abort();
		json_array_foreach (h->lists[kind], i, hook)
			if (json_string_value(json_object_get(hook, "path"))[0] != '/')
				abort();
	}
}

static void check_taken(struct hooks *h, const json_t *spec)
{
	const json_t *left = json_object_get(spec, "hooks");

	check_lists(h);
	for (h->kind = 0; h->kind < HOOK_KINDS; h->kind++) {
		char *state = hooks_state(h);

		if (!state || json_object_get(left, hooks_name(h->kind)))
			abort();
		free(state);
	}
}

static void check_restored(const struct hooks *h, const struct proc_id *running)
{
	check_lists(h);
	if (h->next > json_array_size(h->lists[HOOK_POSTSTOP]) || running->pid == 1 ||
	    running->pid < 0 || !h->path)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	json_auto_t *doc = json_parse((const char *)data, size, "input", &err);
	struct hooks taken = { 0 }, restored = { 0 };
	struct proc_id running;

	if (!doc)
		return 0;
	if (hooks_restore(&restored, doc, &running, &err) == 0)
		check_restored(&restored, &running);
	if (hooks_take(&taken, NULL, doc, "demo", "/b", &err) > 0)
		check_taken(&taken, doc);
	hooks_free(&restored);
	hooks_free(&taken);
	return 0;
}
