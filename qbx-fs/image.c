/* SPDX-License-Identifier: Apache-2.0 */
/* image.c - decode the JSON of an OCI image */
#include "image.h"

#include <string.h>
#include <sys/utsname.h>

#define STRINGS_MAX 4096u	/* elements of args or env */
#define STRING_MAX (128u << 10) /* bytes of one: what Linux takes as one argument */

const char *image_arch(void)
{
	static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" } };
	static struct utsname u;

	if (uname(&u) < 0)
		BUG("uname");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(u.machine, names[i][0]))
			return names[i][1];
	return u.machine; /* most others have one name */
}

static int digest_ok(const char *d)
{
	return !strncmp(d, "sha256:", 7) && strlen(d) == 7 + SHA256_HEX_LEN &&
	       strspn(d + 7, "0123456789abcdef") == SHA256_HEX_LEN;
}

int image_ref_decode(const json_t *j, struct image_ref *ref, struct qbx_err *err)
{
	const char *digest, *type = "";
	json_error_t je;
	json_int_t size;

	if (json_unpack_ex((json_t *)j, &je, 0, "{s:s, s:I, s?s}", "digest", &digest, "size", &size,
			   "mediaType", &type) < 0)
		return err_code(err, EX_DATAERR, "descriptor: %s", je.text);
	if (!digest_ok(digest))
		return err_code(err, EX_DATAERR, "descriptor: \"%.80s\" is no SHA-256 digest",
				digest);
	if (size < 0)
		return err_code(err, EX_DATAERR, "descriptor: size %lld", (long long)size);
	memcpy(ref->digest, digest + 7, SHA256_HEX_LEN + 1);
	ref->size = (uint64_t)size;
	ref->is_index = !strcmp(type, "application/vnd.oci.image.index.v1+json") ||
			!strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json");
	return 0;
}

/* Does an index's entry fit this machine? 1 yes, 0 no, -1 it does not say. */
static int fits(const json_t *entry)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *os = json_string_value(json_object_get(platform, "os"));
	const char *arch = json_string_value(json_object_get(platform, "architecture"));

	if (!os || !arch)
		return -1;
	return !strcmp(os, "linux") && !strcmp(arch, image_arch());
}

int image_pick(const json_t *index, struct image_ref *ref, struct qbx_err *err)
{
	const json_t *list = json_object_get(index, "manifests"), *entry, *found = NULL;
	size_t i, n = 0;

	if (!json_is_array(list))
		return err_code(err, EX_DATAERR, "index: no \"manifests\"");
	json_array_foreach (list, i, entry) {
		int f = fits(entry);

		if (f == 0 || (f < 0 && json_array_size(list) > 1))
			continue;
		found = entry;
		n++;
	}
	if (n == 1)
		return image_ref_decode(found, ref, err);
	if (n == 0)
		return err_code(err, EX_DATAERR, "no image for linux/%s among %zu", image_arch(),
				json_array_size(list));
	err_code(err, EX_DATAERR, "%zu images for linux/%s, where one is understood", n,
		 image_arch());
	return err_hint(err, "export one of them by itself");
}

const json_t *image_layers(const json_t *manifest, size_t max, struct qbx_err *err)
{
	const json_t *layers = json_object_get(manifest, "layers");

	if (!json_is_array(layers)) {
		err_code(err, EX_DATAERR, "manifest: no \"layers\"");
		return NULL;
	}
	if (json_array_size(layers) == 0 || json_array_size(layers) > max) {
		err_code(err, EX_DATAERR, "manifest: %zu layers, where 1 to %zu are understood",
			 json_array_size(layers), max);
		return NULL;
	}
	return layers;
}

/* Append the strings of @from, absent or null or an array, to @to. */
static int append(json_t *to, const json_t *from, const char *what, struct qbx_err *err)
{
	json_t *s;
	size_t i;

	if (from && !json_is_null(from) && !json_is_array(from))
		return err_code(err, EX_DATAERR, "config: %s is not an array", what);
	json_array_foreach (from, i, s) {
		if (!json_is_string(s))
			return err_code(err, EX_DATAERR,
					"config: %s holds something else than strings", what);
		if (json_string_length(s) > STRING_MAX || json_array_size(to) >= STRINGS_MAX)
			return err_code(err, EX_DATAERR,
					"config: %s is not up to %u strings of up to %u bytes",
					what, STRINGS_MAX, STRING_MAX);
		json_array_append(to, s);
	}
	return 0;
}

/* A string, or "" if absent or null; NULL if it is something else. */
static const char *text(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	if (!v || json_is_null(v))
		return "";
	return json_is_string(v) && json_string_length(v) <= STRING_MAX ? json_string_value(v)
									: NULL;
}

static int check_machine(const json_t *config, struct qbx_err *err)
{
	const char *os = text(config, "os"), *arch = text(config, "architecture");

	if (!os || !arch)
		return err_code(err, EX_DATAERR, "config: os and architecture must be strings");
	if (strcmp(os, "linux") != 0 || strcmp(arch, image_arch()) != 0)
		return err_code(err, EX_DATAERR, "an image for %.40s/%.40s, not linux/%s", os, arch,
				image_arch());
	return 0;
}

json_t *image_process(const json_t *config, const char **user, struct qbx_err *err)
{
	const json_t *c = json_object_get(config, "config");
	json_auto_t *args = json_array(), *env = json_array();
	const char *cwd = text(c, "WorkingDir");

	if (check_machine(config, err) < 0)
		return NULL;
	*user = text(c, "User");
	if (!cwd || !*user) {
		err_code(err, EX_DATAERR, "config: WorkingDir and User must be strings");
		return NULL;
	}
	if (append(args, json_object_get(c, "Entrypoint"), "Entrypoint", err) < 0 ||
	    append(args, json_object_get(c, "Cmd"), "Cmd", err) < 0 ||
	    append(env, json_object_get(c, "Env"), "Env", err) < 0)
		return NULL;
	if (*cwd && *cwd != '/') {
		err_code(err, EX_DATAERR, "config: WorkingDir \"%.80s\" is not an absolute path",
			 cwd);
		return NULL;
	}
	return json_pack("{s:O, s:O, s:s}", "args", args, "env", env, "cwd", *cwd ? cwd : "/");
}
