/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capability.c - what a document may ask of a network's plugins
 *
 * Source of the names and forms: "Well-known Capabilities" in CONVENTIONS.md of the CNI project. A
 * value that is known must be what it should be, as it goes to programs that run as root.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "address.h"
#include "conf.h"
#include "networks.h"

#define LIST_MAX 32 /* entries of one list, but for port mappings */
#define PORTS_MAX 128
#define TEXT_MAX 255 /* bytes of a string that has no form of its own */
#define RATE_MAX 1000000000000000ll

typedef bool check_fn(const json_t *value);

static bool is_list(const json_t *value, size_t max, check_fn *each)
{
	json_t *e;
	size_t i;

	if (!json_is_array(value) || json_array_size(value) > max)
		return false;
	json_array_foreach ((json_t *)value, i, e)
		if (!each(e))
			return false;
	return true;
}

/* An object with none but the @keys, each of which is as its check wants it. */
struct key {
	const char *name;
	check_fn *ok;
	bool wanted;
};

static bool is_object(const json_t *value, const struct key *keys, size_t n)
{
	size_t found = 0;

	if (!json_is_object(value))
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(value, keys[i].name);

		if (v ? !keys[i].ok(v) : keys[i].wanted)
			return false;
		found += v != NULL;
	}
	return json_object_size(value) == found;
}

static bool is_text(const json_t *value)
{
	const char *s = json_string_value(value);
	size_t len = s ? strlen(s) : 0;

	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)s[i]))
			return false;
	return len > 0 && len <= TEXT_MAX;
}

static bool is_name(const json_t *value)
{
	return json_is_string(value) && domain_ok(json_string_value(value));
}

static bool is_ip(const json_t *value)
{
	struct ip ip;

	return ip_parse(json_string_value(value), &ip) == 0;
}

static bool is_cidr(const json_t *value)
{
	struct ip ip;

	return cidr_parse(json_string_value(value), &ip) == 0;
}

static bool is_ip_or_cidr(const json_t *value)
{
	return is_ip(value) || is_cidr(value);
}

static bool is_ips(const json_t *value)
{
	return is_list(value, LIST_MAX, is_ip_or_cidr);
}

static bool is_range(const json_t *value)
{
	static const struct key keys[] = { { "subnet", is_cidr, true },
					   { "rangeStart", is_ip, false },
					   { "rangeEnd", is_ip, false },
					   { "gateway", is_ip, false } };

	return is_object(value, keys, ARRAY_SIZE(keys));
}

static bool is_range_set(const json_t *value)
{
	return is_list(value, LIST_MAX, is_range);
}

static bool is_ranges(const json_t *value)
{
	return is_list(value, LIST_MAX, is_range_set);
}

static bool is_port(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 1 &&
	       json_integer_value(value) <= 65535;
}

static bool is_protocol(const json_t *value)
{
	static const char *const known[] = { "tcp", "udp", "sctp" };
	const char *s = json_string_value(value);

	for (size_t i = 0; s && i < ARRAY_SIZE(known); i++)
		if (!strcmp(s, known[i]))
			return true;
	return false;
}

static bool is_mapping(const json_t *value)
{
	static const struct key keys[] = { { "hostPort", is_port, true },
					   { "containerPort", is_port, true },
					   { "protocol", is_protocol, true },
					   { "hostIP", is_ip, false } };

	return is_object(value, keys, ARRAY_SIZE(keys));
}

static bool is_mappings(const json_t *value)
{
	return is_list(value, PORTS_MAX, is_mapping);
}

static bool is_rate(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) >= 0 &&
	       json_integer_value(value) <= RATE_MAX;
}

static bool is_bandwidth(const json_t *value)
{
	static const struct key keys[] = { { "ingressRate", is_rate, false },
					   { "ingressBurst", is_rate, false },
					   { "egressRate", is_rate, false },
					   { "egressBurst", is_rate, false } };

	return is_object(value, keys, ARRAY_SIZE(keys));
}

static bool is_servers(const json_t *value)
{
	return is_list(value, LIST_MAX, is_ip);
}

static bool is_names(const json_t *value)
{
	return is_list(value, LIST_MAX, is_name);
}

static bool is_texts(const json_t *value)
{
	return is_list(value, LIST_MAX, is_text);
}

static bool is_dns(const json_t *value)
{
	static const struct key keys[] = { { "servers", is_servers, false },
					   { "searches", is_names, false },
					   { "options", is_texts, false } };

	return is_object(value, keys, ARRAY_SIZE(keys));
}

static bool is_mac(const json_t *value)
{
	json_auto_t *mac = json_is_string(value) ? mac_text(json_string_value(value)) : NULL;

	return mac != NULL;
}

static bool is_guid(const json_t *value)
{
	const char *s = json_string_value(value);

	if (!s || strlen(s) != 8 * 3 - 1)
		return false;
	for (size_t i = 0; s[i]; i++)
		if (i % 3 == 2 ? s[i] != ':' : !isxdigit((unsigned char)s[i]))
			return false;
	return true;
}

/* @missed: a network that cannot do it is not what was asked for. */
static const struct capability {
	const char *name, *form;
	check_fn *ok;
	bool missed;
} capabilities[] = {
	{ "mac", "the address of one station, as \"02:00:00:00:00:01\"", is_mac, true },
	{ "ips", "an array of addresses, with or without a prefix", is_ips, true },
	{ "ipRanges", "an array of arrays of objects with a subnet", is_ranges, true },
	{ "portMappings",
	  "an array of objects with hostPort, containerPort, protocol (tcp, udp or sctp) and "
	  "perhaps "
	  "hostIP",
	  is_mappings, true },
	{ "bandwidth",
	  "an object of whole numbers: ingressRate, ingressBurst, egressRate, egressBurst",
	  is_bandwidth, true },
	{ "infinibandGUID", "eight bytes in hexadecimal with colons between", is_guid, true },
	{ "deviceID", "a string", is_text, true },
	{ "dns", "an object of arrays: servers, searches, options", is_dns, false },
	{ "aliases", "an array of names", is_names, false },
	{ "cgroupPath", "a string", is_text, false },
};

static const struct capability *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (!strcmp(capabilities[i].name, name))
			return &capabilities[i];
	return NULL;
}

int capability_take(json_t *caps, const char *name, json_t *value, struct qbx_err *err)
{
	const struct capability *c = find(name);

	if (!c)
		return 0;
	if (!c->ok(value))
		return err_code(err, EX_DATAERR, "\"%s\" must be %s", name, c->form);
	/* Plugins compare it with what the kernel says. */
	value = !strcmp(name, "mac") ? mac_text(json_string_value(value)) : json_incref(value);
	if (json_object_set_new(caps, name, value) < 0)
		return err_sys(err, ENOMEM, "\"%s\"", name);
	return 1;
}

bool capability_declared(const json_t *plugin, const char *name)
{
	return json_is_true(json_object_get(json_object_get(plugin, "capabilities"), name));
}

int capability_check(const struct attachment *at, struct qbx_err *err)
{
	json_t *plugins = json_object_get(at->conf.list, "plugins"), *plugin, *value;
	const char *name;
	size_t i;

	json_object_foreach (at->caps, name, value) {
		const struct capability *c = find(name);
		bool declared = false;

		json_array_foreach (plugins, i, plugin)
			declared = declared || capability_declared(plugin, name);
		if (declared || !c || !c->missed)
			continue;
		err_code(err, EX_CONFIG, "CNI network %s: no plugin takes \"%s\"", at->conf.name,
			 name);
		return err_hint(err, "one has to say \"capabilities\":{\"%s\":true} in %s", name,
				at->conf.path);
	}
	return 0;
}
