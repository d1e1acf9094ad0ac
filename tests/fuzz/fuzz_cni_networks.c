/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cni_networks.c - "networks" of a document: what goes to plugins, in words of a user */
#include "fuzz.h"

#include "qbx-net/address.c"
#include "qbx-net/capability.c"
#include "qbx-net/conf.c"
#include "qbx-net/networks.c"

/* What is accepted becomes names of interfaces and CNI_ARGS, which have no way to quote. */
static void check_one(const struct attachment *at)
{
	const char *key;
	json_t *value;

	if (!at->ifname[0] || at->ifname[strcspn(at->ifname, "/: \t\n\033")])
		abort();
	json_object_foreach (at->args, key, value) {
		const char *s = json_string_value(value);

		if (!key[0] || key[strcspn(key, ";= \n")] || !s || s[strcspn(s, ";=\n\033")])
			abort();
	}
	json_object_foreach (at->caps, key, value)
		if (!find(key) || !find(key)->ok(value))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_auto_t *doc = json_loadb((const char *)data, size, 0, NULL);
	struct qbx_err err = { 0 };
	struct lease l = { 0 };
	int rc;

	if (!json_is_object(doc))
		return 0;
	rc = networks_take(&l, doc, &err);
	if (l.nnets > NET_LINKS_MAX || (rc < 0) != (err.code != 0))
		abort();
	for (size_t i = 0; i < l.nnets; i++) {
		if (rc == 0)
			check_one(&l.nets[i]);
		attachment_free(&l.nets[i]);
	}
	return 0;
}
