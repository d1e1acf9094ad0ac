/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.c - what a plugin printed, turned into what the guest needs
 *
 * Source of the format: "ADD Success" and "Error" in the CNI specification. Versions 0.3.0 to 1.1.0
 * differ in keys that do not matter here. Keys that are not known are passed over, as the
 * specification grows; values that are known must be what they should be, and few.
 */
#include "result.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"

#define ADDRESSES_MAX 32
#define ROUTES_MAX 128
#define NAMESERVERS_MAX 8
#define SEARCH_MAX 32

/* The error codes of the specification that say more than "failed". */
enum {
	CNI_ERR_VERSION = 1,
	CNI_ERR_CONFIG = 7,
	CNI_ERR_TRY_AGAIN = 11,
	CNI_ERR_UNAVAILABLE = 50, /* of STATUS */
	CNI_ERR_LIMITED = 51,
};

static int bad(struct qbx_err *err, const char *what, size_t i)
{
	return err_code(err, EX_UNAVAILABLE, "CNI result: %s of entry %zu is not valid", what,
			i + 1);
}

static const char *string_at(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

/* Index of the guest's interface, or -1 if the result does not list it. */
static json_int_t find_interface(const json_t *result, const char *ifname, const char *id)
{
	json_t *interfaces = json_object_get(result, "interfaces"), *itf;
	json_int_t found = -1;
	size_t i;

	json_array_foreach (interfaces, i, itf) {
		const char *sandbox = string_at(itf, "sandbox");

		if (!strcmp(sandbox, id))
			return (json_int_t)i;
		if (found < 0 && sandbox[0] && !strcmp(string_at(itf, "name"), ifname))
			found = (json_int_t)i;
	}
	return found;
}

size_t result_inside(const json_t *result, const char **names, size_t max)
{
	json_t *interfaces = json_object_get(result, "interfaces"), *itf;
	size_t i, n = 0;

	json_array_foreach (interfaces, i, itf) {
		const char *name = string_at(itf, "name");

		if (n < max && string_at(itf, "sandbox")[0] && name[0] && strlen(name) < IFNAMSIZ)
			names[n++] = name;
	}
	return n;
}

/* Addresses of interface @which and those of no stated one; the first gateways go to @gw. */
static int take_addresses(const json_t *result, json_int_t which, json_t *addresses,
			  struct ip gw[2], struct qbx_err *err)
{
	json_t *ips = json_object_get(result, "ips"), *e;
	size_t i;

	json_array_foreach (ips, i, e) {
		json_t *itf = json_object_get(e, "interface"),
		       *gateway = json_object_get(e, "gateway");
		struct ip ip, *g;

		if (json_is_integer(itf) && json_integer_value(itf) != which)
			continue;
		if (cidr_parse(json_string_value(json_object_get(e, "address")), &ip) < 0)
			return bad(err, "ips: the address", i);
		if (json_array_size(addresses) >= ADDRESSES_MAX)
			return err_code(err, EX_UNAVAILABLE, "CNI result: more than %d addresses",
					ADDRESSES_MAX);
		json_array_append_new(addresses, cidr_text(&ip));
		g = &gw[ip.family == AF_INET6];
		if (!json_is_string(gateway) || g->family)
			continue;
		if (ip_parse(json_string_value(gateway), g) < 0 || g->family != ip.family)
			return bad(err, "ips: the gateway", i);
	}
	return 0;
}

/* A route without a gateway goes by that of the addresses, as the plugins themselves do it. */
static int take_routes(const json_t *result, json_t *routes, const struct ip gw[2],
		       struct qbx_err *err)
{
	json_t *list = json_object_get(result, "routes"), *e;
	size_t i;

	json_array_foreach (list, i, e) {
		const char *via = string_at(e, "gw");
		json_t *route;
		struct ip dst, g;

		if (cidr_parse(json_string_value(json_object_get(e, "dst")), &dst) < 0)
			return bad(err, "routes: the destination", i);
		g = gw[dst.family == AF_INET6];
		if (via[0] && (ip_parse(via, &g) < 0 || g.family != dst.family))
			return bad(err, "routes: the gateway", i);
		if (json_array_size(routes) >= ROUTES_MAX)
			return err_code(err, EX_UNAVAILABLE, "CNI result: more than %d routes",
					ROUTES_MAX);
		ip_mask(&dst);
		route = json_pack("{s:o}", "dst", cidr_text(&dst));
		if (g.family)
			json_object_set_new(route, "gw", ip_text(&g));
		json_array_append_new(routes, route);
	}
	return 0;
}

json_t *result_link(const json_t *result, const char *ifname, const char *id, struct qbx_err *err)
{
	json_int_t which = find_interface(result, ifname, id);
	json_t *itf =
		which < 0 ? NULL
			  : json_array_get(json_object_get(result, "interfaces"), (size_t)which);
	json_auto_t *addresses = json_array(), *routes = json_array();
	json_t *mac = mac_text(string_at(itf, "mac")), *link;
	struct ip gw[2] = { 0 };

	if (take_addresses(result, which, addresses, gw, err) < 0 ||
	    take_routes(result, routes, gw, err) < 0) {
		json_decref(mac);
		return NULL;
	}
	link = json_pack("{s:s, s:o*, s:O, s:O}", "name", ifname, "mac", mac, "addresses",
			 addresses, "routes", routes);
	if (!link)
		err_sys(err, ENOMEM, "CNI result");
	return link;
}

static int take_search(const json_t *dns, json_t *search, struct qbx_err *err)
{
	const char *domain = string_at(dns, "domain");
	json_t *e;
	size_t i;

	if (domain[0] && !domain_ok(domain))
		return err_code(err, EX_UNAVAILABLE, "CNI result: dns: the domain is not valid");
	json_array_foreach (json_object_get(dns, "search"), i, e) {
		if (i >= SEARCH_MAX || !json_is_string(e) || !domain_ok(json_string_value(e)))
			return bad(err, "dns: the search domain", i);
		json_array_append(search, e);
		if (!strcmp(domain, json_string_value(e)))
			domain = "";
	}
	if (domain[0])
		json_array_insert_new(search, 0, json_string(domain));
	return 0;
}

json_t *result_dns(const json_t *result, struct qbx_err *err)
{
	json_t *dns = json_object_get(result, "dns"), *e;
	json_auto_t *servers = json_array(), *search = json_array();
	struct ip ip;
	size_t i;

	json_array_foreach (json_object_get(dns, "nameservers"), i, e) {
		if (i >= NAMESERVERS_MAX || ip_parse(json_string_value(e), &ip) < 0) {
			bad(err, "dns: the name server", i);
			return NULL;
		}
		json_array_append_new(servers, ip_text(&ip));
	}
	if (take_search(dns, search, err) < 0)
		return NULL;
	return json_pack("{s:O, s:O}", "nameservers", servers, "search", search);
}

static bool holds(const json_t *array, const json_t *text)
{
	json_t *e;
	size_t i;

	json_array_foreach ((json_t *)array, i, e)
		if (json_equal(e, text))
			return true;
	return false;
}

static void append_new(json_t *to, const json_t *from, size_t max)
{
	json_t *e;
	size_t i;

	json_array_foreach ((json_t *)from, i, e)
		if (json_array_size(to) < max && !holds(to, e))
			json_array_append(to, e);
}

void result_join_dns(json_t *dns, const json_t *more)
{
	append_new(json_object_get(dns, "nameservers"), json_object_get(more, "nameservers"),
		   NAMESERVERS_MAX);
	append_new(json_object_get(dns, "search"), json_object_get(more, "search"), SEARCH_MAX + 1);
}

static bool leads_to(const json_t *links, const json_t *dst)
{
	json_t *link, *route;
	size_t i, r;

	json_array_foreach ((json_t *)links, i, link)
		json_array_foreach (json_object_get(link, "routes"), r, route)
			if (json_equal(json_object_get(route, "dst"), dst))
				return true;
	return false;
}

void result_drop_routes(json_t *link, const json_t *links)
{
	json_t *routes = json_object_get(link, "routes");

	for (size_t i = json_array_size(routes); i-- > 0;)
		if (leads_to(links, json_object_get(json_array_get(routes, i), "dst")))
			json_array_remove(routes, i);
}

char *result_ascii(char *buf, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++) {
		unsigned char c = (unsigned char)*text;
		bool space = c <= ' ' || c == 0x7f;

		if (space && (n == 0 || buf[n - 1] == ' '))
			continue;
		buf[n++] = space ? ' ' : c > 0x7f ? '?' : (char)c;
	}
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
	return buf;
}

static int exit_code_of(json_int_t code)
{
	switch (code) {
	case CNI_ERR_VERSION:
	case CNI_ERR_CONFIG:
		return EX_CONFIG;
	case CNI_ERR_TRY_AGAIN:
	case CNI_ERR_UNAVAILABLE:
	case CNI_ERR_LIMITED:
		return EX_TEMPFAIL;
	default:
		return EX_UNAVAILABLE;
	}
}

int result_error(int status, const char *out, size_t out_len, const char *errout,
		 struct qbx_err *err)
{
	json_auto_t *j = out ? json_loadb(out, out_len, 0, NULL) : NULL;
	json_int_t code = json_integer_value(json_object_get(j, "code"));
	char msg[400], details[200];

	result_ascii(msg, sizeof(msg), string_at(j, "msg"));
	result_ascii(details, sizeof(details), string_at(j, "details"));
	if (msg[0] || details[0])
		return err_code(err, exit_code_of(code), "%s%s%s (code %lld)", msg,
				msg[0] && details[0] ? "; " : "", details, (long long)code);
	result_ascii(msg, sizeof(msg), errout ? errout : "");
	return err_code(err, EX_UNAVAILABLE, "exit status %d%s%s", status, msg[0] ? ": " : "", msg);
}
