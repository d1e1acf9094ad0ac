/* SPDX-License-Identifier: Apache-2.0 */
/* networks.c - what a document says of the networks to join; no system calls */
#include "networks.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "conf.h"
#include "lease.h"

#define ARGS_MAX 64
#define ARG_MAX_BYTES 1024 /* of one value */

/* A name that the host and the guest both take, and that is none of our TAPs'. */
static bool ifname_ok(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len >= IFNAMSIZ || !isalnum((unsigned char)s[0]) || !strcmp(s, "lo") ||
	    !strcmp(s, "all") || !strcmp(s, "default"))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
			return false;
	return strncmp(s, "tap", 3) != 0 || s[3 + strspn(s + 3, "0123456789")];
}

/* CNI_ARGS has no way to quote: K=V;K=V. */
static bool arg_ok(const char *key, const json_t *value)
{
	const char *v = json_string_value(value);
	size_t len = v ? strlen(v) : ARG_MAX_BYTES + 1;

	for (const char *k = key; *k; k++)
		if (!isalnum((unsigned char)*k) && *k != '_')
			return false;
	for (size_t i = 0; i < len && len <= ARG_MAX_BYTES; i++)
		if (!isprint((unsigned char)v[i]) || strchr(";=", v[i]))
			return false;
	return key[0] && strlen(key) < 64 && len <= ARG_MAX_BYTES;
}

static int take_args(struct attachment *at, json_t *args, struct qbx_err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(args) || json_object_size(args) > ARGS_MAX)
		return err_code(err, EX_DATAERR, "\"args\" must be an object of at most %d",
				ARGS_MAX);
	json_object_foreach (args, key, value)
		if (!arg_ok(key, value))
			return err_code(err, EX_DATAERR,
					"\"args\": a name must be letters, digits and \"_\", a "
					"value text without \";\" and \"=\"");
	at->args = json_incref(args);
	return 0;
}

static int take_key(struct attachment *at, const char *key, json_t *value, struct qbx_err *err)
{
	const char *text = json_string_value(value);
	int known;

	if (!strcmp(key, "name")) {
		at->wanted = text;
		return text && text[0] ? 0 : err_code(err, EX_DATAERR, "\"name\" must be a string");
	}
	if (!strcmp(key, "ifname")) {
		if (!text || !ifname_ok(text))
			return err_code(err, EX_DATAERR,
					"\"ifname\" must be a name for an interface, and neither "
					"\"lo\" nor \"tap\" and a number");
		snprintf(at->ifname, sizeof(at->ifname), "%s", text);
		snprintf(at->name, sizeof(at->name), "%s", text);
		return 0;
	}
	if (!strcmp(key, "args"))
		return take_args(at, value, err);
	known = capability_take(at->caps, key, value, err);
	return known != 0 ? known : err_code(err, EX_DATAERR, "unknown key \"%s\"", key);
}

/* In the namespace eth0 stays free for whoever fills that as well, as ctr(8) and nerdctl do. */
static void name_by_place(struct attachment *at, size_t i)
{
	snprintf(at->ifname, sizeof(at->ifname), "net%u", (unsigned)i);
	snprintf(at->name, sizeof(at->name), "eth%u", (unsigned)i);
}

static int take_entry(struct attachment *at, size_t i, const json_t *entry, struct qbx_err *err)
{
	const char *key;
	json_t *value;

	name_by_place(at, i);
	if (!json_is_object(entry))
		return err_code(err, EX_DATAERR, "an object is wanted");
	at->caps = json_object();
	if (!at->caps)
		return err_sys(err, ENOMEM, "networks");
	json_object_foreach ((json_t *)entry, key, value)
		if (take_key(at, key, value, err) < 0)
			return -1;
	return 0;
}

/* The name that two have in the namespace, or in the guest, or NULL. */
static const char *same_name(const struct attachment *a, const struct attachment *b)
{
	if (!strcmp(a->name, b->name))
		return a->name;
	return strcmp(a->ifname, b->ifname) ? NULL : a->ifname;
}

static int take_list(struct lease *l, const json_t *list, struct qbx_err *err)
{
	json_t *entry;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > NET_LINKS_MAX)
		return err_code(err, EX_DATAERR, "\"networks\" must be an array of at most %u",
				NET_LINKS_MAX);
	json_array_foreach ((json_t *)list, i, entry) {
		struct attachment *at = &l->nets[l->nnets++];

		if (take_entry(at, i, entry, err) < 0)
			return err_wrap(err, "networks: entry %zu", i + 1);
		for (size_t other = 0; other < i; other++) {
			const char *name = same_name(at, &l->nets[other]);

			if (name)
				return err_code(err, EX_DATAERR,
						"networks: entry %zu: the interface %s is taken",
						i + 1, name);
		}
	}
	return 0;
}

int networks_take(struct lease *l, const json_t *doc, struct qbx_err *err)
{
	const json_t *list = json_object_get(doc, "networks");
	const char *network = json_string_value(json_object_get(doc, "network"));

	if (network && !strcmp(network, "none"))
		return 0;
	if (network && strcmp(network, "cni") != 0)
		return err_code(err, EX_DATAERR, "\"network\" must be \"cni\" or \"none\"");
	if (list)
		return take_list(l, list, err);
	name_by_place(&l->nets[0], 0);
	l->nnets = 1;
	return 0;
}

void attachment_free(struct attachment *at)
{
	conf_free(&at->conf);
	json_decref(at->caps);
	json_decref(at->args);
	json_decref(at->result);
	memset(at, 0, sizeof(*at));
}
