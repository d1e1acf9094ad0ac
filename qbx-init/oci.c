/* SPDX-License-Identifier: Apache-2.0 */
/* oci.c - members of an OCI specification */
#include "oci.h"

#include <string.h>

#include "log.h"

int oci_refuse(struct qbx_err *err, const char *what, const char *why)
{
	return err_code(err, EX_DATAERR, "OCI spec: %s %s", what, why);
}

int oci_no_memory(struct qbx_err *err)
{
	return err_code(err, EX_OSERR, "OCI spec: out of memory");
}

int oci_member(json_t *o, const char *key, json_type type, json_t **out, struct qbx_err *err)
{
	*out = json_object_get(o, key);
	if (json_is_null(*out))
		*out = NULL;
	if (*out && json_typeof(*out) != type)
		return oci_refuse(err, key, "has the wrong type");
	return 0;
}

int oci_string(json_t *o, const char *key, const char **out, struct qbx_err *err)
{
	json_t *j;

	if (oci_member(o, key, JSON_STRING, &j, err) < 0)
		return -1;
	*out = j ? json_string_value(j) : "";
	return 0;
}

int oci_object(json_t *o, const char *key, json_t **out, struct qbx_err *err)
{
	if (oci_member(o, key, JSON_OBJECT, out, err) < 0)
		return -1;
	if (!*out) {
		*out = json_object();
		if (json_object_set_new(o, key, *out) < 0)
			return oci_no_memory(err);
	}
	return 0;
}

static bool says_nothing(const json_t *value)
{
	const char *text = json_string_value(value);

	return !value || json_is_null(value) || (text && !text[0]) ||
	       (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_object(value) && json_object_size(value) == 0);
}

void oci_drop(json_t *o, const char *key, const char *why)
{
	const json_t *value = json_object_get(o, key);
	_cleanup_free_ char *text = NULL;

	if (!says_nothing(value)) {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		log_info("%.64s %.64s is dropped: the guest has %s", key, text ? text : "", why);
	}
	json_object_del(o, key);
}

static bool is_known(const char *key, const char *const *known)
{
	while (*known && strcmp(*known, key))
		known++;
	return *known;
}

void oci_drop_unknown(json_t *o, const char *const *known)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(o, next, key, value)
	{
		if (is_known(key, known))
			continue;
		if (!says_nothing(value))
			log_info("%.64s is dropped: the guest does not know it", key);
		json_object_del(o, key);
	}
}
