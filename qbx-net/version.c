/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.c - the version of CNI to speak, where the configuration leaves a choice
 *
 * Only then plugins are asked, as each question is a process more on the way of every box. Source:
 * "Version considerations" and "VERSION Success" in the CNI specification.
 */
#include <string.h>

#include "cni.h"
#include "conf.h"

/* The versions that a plugin lists, as a set. */
static unsigned supported(const json_t *answer)
{
	json_t *v;
	unsigned set = 0;
	size_t i;

	json_array_foreach (json_object_get(answer, "supportedVersions"), i, v)
		set |= conf_version_bit(json_string_value(v));
	return set;
}

static bool asked_before(const struct conf *conf, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (!strcmp(conf_type(conf, before), conf_type(conf, i)))
			return true;
	return false;
}

int version_settle(struct conf *conf, const char *bin_dir, int timeout_ms, struct qbx_err *err)
{
	unsigned common = conf->versions;

	if ((common & (common - 1)) == 0)
		return 0;
	for (size_t i = 0; i < conf_count(conf); i++) {
		json_auto_t *answer = NULL;

		if (asked_before(conf, i))
			continue;
		answer = cni_version(conf, i, bin_dir, timeout_ms, err);
		if (!answer)
			return -1;
		common &= supported(answer);
		if (common)
			continue;
		err_code(err, EX_CONFIG,
			 "CNI network %s: plugin %s speaks no version that it can use", conf->name,
			 conf_type(conf, i));
		return err_hint(err,
				"\"cniVersions\" of %s, and what the other plugins speak, decide",
				conf->path);
	}
	conf_speak(conf, common);
	return 0;
}
