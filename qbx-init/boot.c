/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c - what the host says at boot, decoded and checked before any of it is used */
#include "boot.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "guest.h"

#define ADDRESSES_MAX 32u
#define ROUTES_MAX 256u
#define NEIGHBOURS_MAX 128u
#define DNS_MAX 32u
#define NAME_MAX_LEN 253u /* of a DNS name */

static int bad(struct qbx_err *err, const char *what, const char *text)
{
	return err_code(err, EX_DATAERR, "the host's message: %s \"%.100s\" is not one", what,
			text);
}

static int too_many(struct qbx_err *err, const char *what, size_t n)
{
	return err_code(err, EX_DATAERR, "the host's message: %zu %s are too many", n, what);
}

/* Letters, digits, dots, hyphens and underscores: fit for a host name and for resolv.conf. */
static bool is_domain(const char *text, size_t max)
{
	size_t len = strlen(text);

	if (len == 0 || len > max)
		return false;
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
	return true;
}

static bool is_ifname(const char *text)
{
	return is_domain(text, IFNAMSIZ - 1) && strcmp(text, ".") && strcmp(text, "..");
}

static int check_route(const Route *r, struct qbx_err *err)
{
	struct addr dst, gw;

	if (addr_parse_cidr(r->dst, &dst) < 0)
		return bad(err, "route", r->dst);
	if (r->gw[0] && (addr_parse(r->gw, &gw) < 0 || gw.family != dst.family))
		return bad(err, "gateway", r->gw);
	return 0;
}

static int check_link(const Link *l, struct qbx_err *err)
{
	uint8_t mac[MAC_LEN];
	struct addr a;

	if (!is_ifname(l->name))
		return bad(err, "interface name", l->name);
	if (mac_parse(l->mac, mac) < 0 || (l->set_mac[0] && mac_parse(l->set_mac, mac) < 0))
		return bad(err, "MAC address", l->set_mac[0] ? l->set_mac : l->mac);
	if (l->mtu != 0 && (l->mtu < 68 || l->mtu > 65535))
		return err_code(err, EX_DATAERR, "the host's message: MTU %u of %s", l->mtu,
				l->name);
	if (l->n_addresses > ADDRESSES_MAX)
		return too_many(err, "addresses", l->n_addresses);
	if (l->n_routes > ROUTES_MAX)
		return too_many(err, "routes", l->n_routes);
	if (l->n_neighbours > NEIGHBOURS_MAX)
		return too_many(err, "neighbours", l->n_neighbours);
	for (size_t i = 0; i < l->n_addresses; i++)
		if (addr_parse_cidr(l->addresses[i], &a) < 0)
			return bad(err, "address", l->addresses[i]);
	for (size_t i = 0; i < l->n_routes; i++)
		if (check_route(l->routes[i], err) < 0)
			return -1;
	for (size_t i = 0; i < l->n_neighbours; i++)
		if (addr_parse(l->neighbours[i]->address, &a) < 0 ||
		    mac_parse(l->neighbours[i]->mac, mac) < 0)
			return bad(err, "neighbour", l->neighbours[i]->address);
	return 0;
}

static int check_dns(const struct network *net, struct qbx_err *err)
{
	struct addr a;

	if (net->n_nameservers > DNS_MAX || net->n_search > DNS_MAX)
		return too_many(err, "name servers or search domains",
				net->n_nameservers + net->n_search);
	for (size_t i = 0; i < net->n_nameservers; i++)
		if (addr_parse(net->nameservers[i], &a) < 0)
			return bad(err, "name server", net->nameservers[i]);
	for (size_t i = 0; i < net->n_search; i++)
		if (!is_domain(net->search[i], NAME_MAX_LEN))
			return bad(err, "search domain", net->search[i]);
	return 0;
}

int network_check(const struct network *net, struct qbx_err *err)
{
	if (net->n_links > BOOT_LINKS_MAX)
		return too_many(err, "links", net->n_links);
	for (size_t i = 0; i < net->n_links; i++)
		if (check_link(net->links[i], err) < 0)
			return -1;
	return check_dns(net, err);
}

struct network network_of_boot(const Boot *b)
{
	return (struct network){ .n_links = b->n_links,
				 .links = b->links,
				 .n_nameservers = b->n_nameservers,
				 .nameservers = b->nameservers,
				 .n_search = b->n_search,
				 .search = b->search };
}

static int check(const Boot *b, struct qbx_err *err)
{
	const struct network net = network_of_boot(b);

	if (b->error[0])
		return err_code(err, EX_NOPERM, "the host refuses this guest: %.500s", b->error);
	if (b->token.len != GUEST_TOKEN_LEN)
		return err_code(err, EX_DATAERR, "boot message: token of %zu bytes", b->token.len);
	if (b->time_ns < 0)
		return err_code(err, EX_DATAERR, "boot message: time before 1970");
	if (b->entropy.len > BOOT_ENTROPY_MAX)
		return too_many(err, "bytes of entropy", b->entropy.len);
	if (b->hostname[0] && !is_domain(b->hostname, 64))
		return bad(err, "host name", b->hostname);
	return network_check(&net, err);
}

Boot *boot_parse(const uint8_t *data, size_t len, struct qbx_err *err)
{
	Boot *b = qemubox__guest__v1__boot__unpack(NULL, len, data);

	if (!b) {
		err_code(err, EX_DATAERR, "boot message: does not parse");
		return NULL;
	}
	if (check(b, err) < 0) {
		boot_free(b);
		return NULL;
	}
	return b;
}

void boot_free(Boot *boot)
{
	if (boot)
		qemubox__guest__v1__boot__free_unpacked(boot, NULL);
}
