/* SPDX-License-Identifier: Apache-2.0 */
/* inspect-print.c - what inspect has found, as lines of text */
#include "inspect.h"

#include <string.h>

#include "fs.h"

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static long long number_of(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static bool is(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

/* What it is: "path: the image ...". */
static char *layer_text(const json_t *l)
{
	static const struct {
		const char *kind, *text;
	} kinds[] = {
		{ "mount", "the image mounted on" },
		{ "directory", "an image of the directory" },
		{ "tar", "an image of the archive" },
		{ "oci", "an image of the OCI layer" },
	};
	const char *path = text_of(l, "path"), *from = text_of(l, "from");
	char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text_of(l, "kind"), kinds[i].kind))
			return asprintf(&text, "%s%s%s %s", path ? path : "", path ? ": " : "",
					kinds[i].text, from) < 0
				       ? NULL
				       : text;
	return asprintf(&text, "%s: an image", path) < 0 ? NULL : text;
}

static void print_layer(const json_t *l, size_t number)
{
	_cleanup_free_ char *text = layer_text(l), *names = strdup("");
	const json_t *name;
	size_t i;

	if (!text || !names)
		return;
	if (!is(l, "there")) {
		plan_line("layer %zu: %s, to be made", number, text);
		return;
	}
	json_array_foreach (json_object_get(l, "features"), i, name) {
		_cleanup_free_ char *before = take_ptr(names);

		if (asprintf(&names, "%s%s%s", before, i ? "," : ", features ",
			     json_string_value(name)) < 0) {
			names = NULL;
			return;
		}
	}
	plan_line("layer %zu: %s, there: %lld bytes, blocks of %lld%s", number, text,
		  number_of(l, "size"), number_of(l, "block_size"), names);
}

static void print_disks(const json_t *d)
{
	const char *how = text_of(d, "how"), *why = text_of(d, "why");

	if (!strcmp(how, "merged"))
		plan_line("disks: one, with merged metadata that is %s: %s",
			  is(d, "there") ? "there" : "to be made", why);
	else if (!strcmp(how, "parts"))
		plan_line("disks: %lld, with a layer in each part, which the guest stacks: %s",
			  number_of(d, "count"), why);
	else
		plan_line("disks: %lld%s: %s", number_of(d, "count"),
			  number_of(d, "count") > 1 ? ", which the guest stacks" : "", why);
}

static void print_upper(const json_t *u)
{
	long long n = number_of(u, "entries");

	plan_line("upper: %s has %lld %s: %s", text_of(u, "path"), n, n == 1 ? "entry" : "entries",
		  text_of(u, "why"));
}

static void print_writable(const json_t *w)
{
	const char *kind = text_of(w, "kind"), *why = text_of(w, "why");
	long long mib = number_of(w, "size") >> 20;

	if (!strcmp(kind, "disk"))
		plan_line("writable: %s of %lld MiB, %s, %s: %s", text_of(w, "path"), mib,
			  is(w, "kept") ? "which stays" : "which release removes",
			  is(w, "there") ? "there" : "to be made", why);
	else if (mib)
		plan_line("writable: %s of %lld MiB: %s", kind, mib, why);
	else
		plan_line("writable: %s: %s", kind, why);
}

static void print_root(const json_t *r)
{
	const char *mode = text_of(r, "mode"), *why = text_of(r, "why");

	if (mode)
		plan_line("root: mode %s of %lld:%lld: %s", mode, number_of(r, "uid"),
			  number_of(r, "gid"), why);
	else
		plan_line("root: not known: %s", why);
}

void inspect_print(const json_t *found)
{
	const json_t *disks = json_object_get(found, "disks"), *j;
	size_t i;

	json_array_foreach (json_object_get(found, "layers"), i, j)
		print_layer(j, i);
	if (disks)
		print_disks(disks);
	if (json_object_get(found, "upper"))
		print_upper(json_object_get(found, "upper"));
	if (json_object_get(found, "writable"))
		print_writable(json_object_get(found, "writable"));
	if (json_object_get(found, "root"))
		print_root(json_object_get(found, "root"));
	json_array_foreach (json_object_get(found, "volumes"), i, j)
		plan_line("volume %s: %s, as a %s%s: %s", text_of(j, "destination"),
			  text_of(j, "source"), text_of(j, "kind"),
			  is(j, "readonly") ? ", read-only" : "", text_of(j, "why"));
}
