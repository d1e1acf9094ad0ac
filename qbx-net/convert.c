/* SPDX-License-Identifier: Apache-2.0 */
/*
 * convert.c - a result in the version that is spoken
 *
 * A plugin should answer in the version that it was asked in, and one that does not is put right, since
 * the next plugin and DEL are given the result in that version. Source of the differences:
 * pkg/types of the CNI project: "version" of an address went with 1.0.0; 1.1.0 added "mtu",
 * "socketPath" and "pciID" of an interface, and "mtu", "advmss", "priority", "table" and "scope" of a
 * route.
 */
#include <errno.h>
#include <string.h>

#include "conf.h"
#include "result.h"

static void delete_keys(const json_t *array, const char *const *keys)
{
	json_t *e;
	size_t i;

	json_array_foreach ((json_t *)array, i, e)
		for (const char *const *k = keys; *k; k++)
			json_object_del(e, *k);
}

/* Return: 0, or -1 without memory. */
static int set_families(const json_t *ips)
{
	json_t *e;
	size_t i;

	json_array_foreach ((json_t *)ips, i, e) {
		const char *address = json_string_value(json_object_get(e, "address"));
		bool six = address && strchr(address, ':');

		if (json_is_object(e) &&
		    json_object_set_new(e, "version", json_string(six ? "6" : "4")) < 0)
			return -1;
	}
	return 0;
}

static int convert(json_t *result, const char *version)
{
	static const char *const family[] = { "version", NULL };
	static const char *const interface[] = { "mtu", "socketPath", "pciID", NULL };
	static const char *const route[] = { "mtu", "advmss", "priority", "table", "scope", NULL };
	json_t *ips = json_object_get(result, "ips");

	if (strcmp(version, "1.1.0") < 0) {
		delete_keys(json_object_get(result, "interfaces"), interface);
		delete_keys(json_object_get(result, "routes"), route);
	}
	if (strcmp(version, "1.0.0") >= 0)
		delete_keys(ips, family);
	else if (set_families(ips) < 0)
		return -1;
	return json_object_set_new(result, "cniVersion", json_string(version));
}

int result_convert(json_t *result, const char *version, struct qbx_err *err)
{
	json_t *said = json_object_get(result, "cniVersion");
	const char *from = json_string_value(said);
	char text[40];

	if (from && !strcmp(from, version))
		return 0;
	/* One that says nothing speaks what it was asked in. */
	if (said && (!from || (from[0] && !conf_knows(from)))) {
		result_ascii(text, sizeof(text), from ? from : "(no string)");
		err_code(err, EX_UNAVAILABLE, "its result is of CNI version \"%s\", not %s", text,
			 version);
		return err_hint(err,
				"the plugin does not speak what the network is configured for");
	}
	return convert(result, version) < 0 ? err_sys(err, ENOMEM, "CNI result") : 0;
}
