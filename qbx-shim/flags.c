/* SPDX-License-Identifier: Apache-2.0 */
/* flags.c - the command line that containerd gives a shim */
#include "flags.h"

#include <stddef.h>
#include <string.h>

/* One row a flag: a string of struct flags, or one of its booleans. */
static const struct flag {
	const char *name;
	bool is_bool;
	size_t offset;
} table[] = {
	{ "namespace", false, offsetof(struct flags, namespace) },
	{ "id", false, offsetof(struct flags, id) },
	{ "address", false, offsetof(struct flags, address) },
	{ "bundle", false, offsetof(struct flags, bundle) },
	{ "publish-binary", false, offsetof(struct flags, publish_binary) },
	{ "socket", false, offsetof(struct flags, socket) },
	{ "debug", true, offsetof(struct flags, debug) },
	{ "version", true, offsetof(struct flags, version) },
	{ "v", true, offsetof(struct flags, version) },
	{ "info", true, offsetof(struct flags, info) },
};

static const struct flag *find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return &table[i];
	return NULL;
}

/* The words of Go's strconv.ParseBool. Return: 0, or -1. */
static int parse_bool(const char *text, bool *value)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
			*value = !strcmp(text, yes[i]);
			return 0;
		}
	}
	return -1;
}

static int take(struct flags *f, const struct flag *flag, const char *eq, char **argv, int *i,
		struct qbx_err *err)
{
	char *at = (char *)f + flag->offset;
	const char *value = eq ? eq + 1 : NULL;

	if (flag->is_bool) {
		*(bool *)at = true;
		if (value && parse_bool(value, (bool *)at) < 0)
			return err_code(err, EX_USAGE, "-%s: \"%s\" is not true or false",
					flag->name, value);
		return 0;
	}
	if (!value)
		value = argv[++*i];
	if (!value)
		return err_code(err, EX_USAGE, "-%s wants a value", flag->name);
	*(const char **)at = value;
	return 0;
}

int flags_parse(struct flags *f, int argc, char **argv, struct qbx_err *err)
{
	int i;

	memset(f, 0, sizeof(*f));
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + 1 + (argv[i][1] == '-');
		const char *eq = strchr(name, '=');
		const struct flag *flag = find(name, eq ? (size_t)(eq - name) : strlen(name));

		if (!*name) { /* "--" */
			i++;
			break;
		}
		if (!flag)
			return err_code(err, EX_USAGE, "unknown flag %s", argv[i]);
		if (take(f, flag, eq, argv, &i, err) < 0)
			return -1;
	}
	if (i < argc)
		f->action = argv[i];
	return 0;
}
