/* SPDX-License-Identifier: Apache-2.0 */
/* netmsg.c - a document's network in the words of the guest's protocol */
#include "netmsg.h"

#include "json.h"

#define LIST_MAX 64 /* addresses, routes, name servers: more is a mistake */

/* Messages and vectors, all freed together. */
static void *arena_get(struct netmsg *a, size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p || a->n == ARRAY_SIZE(a->block))
		BUG("out of memory for a message");
	a->block[a->n++] = p;
	return p;
}

/* @array of strings as protobuf-c has it. */
static int strings(struct netmsg *a, const json_t *array, const char *what, size_t *n, char ***v,
		   struct qbx_err *err)
{
	_cleanup_free_ const char **strv =
		json_array_size(array) > LIST_MAX ? NULL : json_strv(array, what, err);

	if (json_array_size(array) > LIST_MAX)
		return err_code(err, EX_DATAERR, "%s: more than %d entries", what, LIST_MAX);
	if (!strv)
		return -1;
	*n = json_array_size(array);
	*v = arena_get(a, *n, sizeof(char *));
	for (size_t i = 0; i < *n; i++)
		(*v)[i] = (char *)strv[i];
	return 0;
}

static int routes(struct netmsg *a, const json_t *array, Qemubox__Guest__V1__Link *link,
		  struct qbx_err *err)
{
	size_t n = json_array_size(array);
	Qemubox__Guest__V1__Route *r;
	json_error_t je;

	if (n > LIST_MAX)
		return err_code(err, EX_DATAERR, "net.links: more than %d routes", LIST_MAX);
	r = arena_get(a, n, sizeof(*r));
	link->routes = arena_get(a, n, sizeof(void *));
	link->n_routes = n;
	for (size_t i = 0; i < n; i++) {
		qemubox__guest__v1__route__init(&r[i]);
		link->routes[i] = &r[i];
		if (json_unpack_ex(json_array_get(array, i), &je, 0, "{s:s, s?s}", "dst", &r[i].dst,
				   "gw", &r[i].gw) < 0)
			return err_code(err, EX_DATAERR, "net.links: routes: %s", je.text);
	}
	return 0;
}

static int neighbours(struct netmsg *a, const json_t *array, Qemubox__Guest__V1__Link *link,
		      struct qbx_err *err)
{
	size_t n = json_array_size(array);
	Qemubox__Guest__V1__Neighbour *v;
	json_error_t je;

	if (n > LIST_MAX)
		return err_code(err, EX_DATAERR, "net.links: more than %d neighbours", LIST_MAX);
	v = arena_get(a, n, sizeof(*v));
	link->neighbours = arena_get(a, n, sizeof(void *));
	link->n_neighbours = n;
	for (size_t i = 0; i < n; i++) {
		qemubox__guest__v1__neighbour__init(&v[i]);
		link->neighbours[i] = &v[i];
		if (json_unpack_ex(json_array_get(array, i), &je, 0, "{s:s, s:s}", "address",
				   &v[i].address, "mac", &v[i].mac) < 0)
			return err_code(err, EX_DATAERR, "net.links: neighbours: %s", je.text);
	}
	return 0;
}

static int fill_link(struct netmsg *a, json_t *j, Qemubox__Guest__V1__Link *link,
		     struct qbx_err *err)
{
	json_t *addresses = NULL, *route_list = NULL, *neighbour_list = NULL;
	json_error_t je;
	char *nic = NULL;
	int mtu = 0;

	qemubox__guest__v1__link__init(link);
	if (json_unpack_ex(j, &je, 0, "{s:s, s:s, s?s, s?i, s?o, s?o, s?o}", "name", &link->name,
			   "mac", &link->mac, "nic", &nic, "mtu", &mtu, "addresses", &addresses,
			   "routes", &route_list, "neighbours", &neighbour_list) < 0)
		return err_code(err, EX_DATAERR, "net.links: %s", je.text);
	if (mtu < 0 || mtu > 65535)
		return err_code(err, EX_DATAERR, "net.links: mtu %d", mtu);
	link->mtu = (uint32_t)mtu;
	if (nic) {
		link->set_mac = link->mac;
		link->mac = nic;
	}
	if (strings(a, addresses, "net.links: addresses", &link->n_addresses, &link->addresses,
		    err) < 0)
		return -1;
	if (routes(a, route_list, link, err) < 0)
		return -1;
	return neighbours(a, neighbour_list, link, err);
}

int netmsg_make(struct netmsg *m, const json_t *net, struct qbx_err *err)
{
	const json_t *links = json_object_get(net, "links"), *dns = json_object_get(net, "dns");
	Qemubox__Guest__V1__Link *link;
	size_t n = json_array_size(links);

	if (n > NETMSG_LINKS_MAX)
		return err_code(err, EX_DATAERR, "net.links: more than %u", NETMSG_LINKS_MAX);
	link = arena_get(m, n, sizeof(*link));
	m->links = arena_get(m, n, sizeof(void *));
	m->n_links = n;
	for (size_t i = 0; i < n; i++) {
		m->links[i] = &link[i];
		if (fill_link(m, json_array_get(links, i), &link[i], err) < 0)
			return -1;
	}
	if (strings(m, json_object_get(dns, "nameservers"), "net.dns: nameservers",
		    &m->n_nameservers, &m->nameservers, err) < 0)
		return -1;
	return strings(m, json_object_get(dns, "search"), "net.dns: search", &m->n_search,
		       &m->search, err);
}

void netmsg_free(struct netmsg *m)
{
	while (m->n > 0)
		free(m->block[--m->n]);
}
