/* SPDX-License-Identifier: Apache-2.0 */
/* hello.c - what the guest says first, and what it is answered: proto/guest.proto */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "guest.pb-c.h"
#include "json.h"
#include "vm.h"

#define ENTROPY_LEN 64
#define LIST_MAX 64 /* addresses, routes, name servers: more is a mistake */

int hello_decode(const uint8_t *buf, size_t len, struct hello *h, struct qbx_err *err)
{
	Qemubox__Guest__V1__Hello *m;
	int ret = 0;

	memset(h, 0, sizeof(*h));
	m = len <= GUEST_MESSAGE_MAX ? qemubox__guest__v1__hello__unpack(NULL, len, buf) : NULL;
	if (!m)
		return err_code(err, EX_DATAERR, "the guest's hello does not parse");
	if (m->version != GUEST_PROTOCOL) {
		ret = err_code(err, EX_DATAERR, "the guest speaks version %u, not %u", m->version,
			       GUEST_PROTOCOL);
		err_hint(err, "the initrd in QEMUBOX_SHARE_DIR/kernel is of another release");
	}
	h->boot_us = m->boot_us;
	h->cpus = m->cpus;
	h->memory_kib = m->memory_kib;
	snprintf(h->kernel, sizeof(h->kernel), "%s", m->kernel);
	err_clean(h->kernel);
	for (char *p = h->kernel; *p; p++)
		if ((unsigned char)*p > '~')
			*p = '?'; /* JSON would refuse what is not UTF-8 */
	qemubox__guest__v1__hello__free_unpacked(m, NULL);
	return ret;
}

/* Messages and vectors for one Boot, all from one place and freed together. */
struct arena {
	void *block[6 * VM_LINKS_MAX + 8];
	size_t n;
};

static void *arena_get(struct arena *a, size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);

	if (!p || a->n == ARRAY_SIZE(a->block))
		BUG("out of memory for a boot message");
	a->block[a->n++] = p;
	return p;
}

static void arena_free(struct arena *a)
{
	while (a->n > 0)
		free(a->block[--a->n]);
}

/* @array of strings as protobuf-c has it. */
static int strings(struct arena *a, const json_t *array, const char *what, size_t *n, char ***v,
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

static int routes(struct arena *a, const json_t *array, Qemubox__Guest__V1__Link *link,
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

static int neighbours(struct arena *a, const json_t *array, Qemubox__Guest__V1__Link *link,
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

static int fill_link(struct arena *a, json_t *j, Qemubox__Guest__V1__Link *link,
		     struct qbx_err *err)
{
	json_t *addresses = NULL, *route_list = NULL, *neighbour_list = NULL;
	json_error_t je;
	int mtu = 0;

	qemubox__guest__v1__link__init(link);
	if (json_unpack_ex(j, &je, 0, "{s:s, s:s, s?i, s?o, s?o, s?o}", "name", &link->name, "mac",
			   &link->mac, "mtu", &mtu, "addresses", &addresses, "routes", &route_list,
			   "neighbours", &neighbour_list) < 0)
		return err_code(err, EX_DATAERR, "net.links: %s", je.text);
	if (mtu < 0 || mtu > 65535)
		return err_code(err, EX_DATAERR, "net.links: mtu %d", mtu);
	link->mtu = (uint32_t)mtu;
	if (strings(a, addresses, "net.links: addresses", &link->n_addresses, &link->addresses,
		    err) < 0)
		return -1;
	if (routes(a, route_list, link, err) < 0)
		return -1;
	return neighbours(a, neighbour_list, link, err);
}

static int fill_net(struct arena *a, const json_t *net, Qemubox__Guest__V1__Boot *boot,
		    struct qbx_err *err)
{
	const json_t *links = json_object_get(net, "links"), *dns = json_object_get(net, "dns");
	Qemubox__Guest__V1__Link *link;
	size_t n = json_array_size(links);

	if (n > VM_LINKS_MAX)
		return err_code(err, EX_DATAERR, "net.links: more than %u", VM_LINKS_MAX);
	link = arena_get(a, n, sizeof(*link));
	boot->links = arena_get(a, n, sizeof(void *));
	boot->n_links = n;
	for (size_t i = 0; i < n; i++) {
		boot->links[i] = &link[i];
		if (fill_link(a, json_array_get(links, i), &link[i], err) < 0)
			return -1;
	}
	if (strings(a, json_object_get(dns, "nameservers"), "net.dns: nameservers",
		    &boot->n_nameservers, &boot->nameservers, err) < 0)
		return -1;
	return strings(a, json_object_get(dns, "search"), "net.dns: search", &boot->n_search,
		       &boot->search, err);
}

static int pack(const Qemubox__Guest__V1__Boot *boot, uint8_t **buf, size_t *len,
		struct qbx_err *err)
{
	size_t n = qemubox__guest__v1__boot__get_packed_size(boot);
	uint32_t header = htonl((uint32_t)n);

	if (n > GUEST_MESSAGE_MAX)
		return err_code(err, EX_DATAERR, "the boot message has %zu bytes", n);
	*buf = malloc(sizeof(header) + n);
	if (!*buf)
		return err_sys(err, ENOMEM, "make the boot message");
	memcpy(*buf, &header, sizeof(header));
	qemubox__guest__v1__boot__pack(boot, *buf + sizeof(header));
	*len = sizeof(header) + n;
	return 0;
}

int hello_answer(const struct box *box, const uint8_t *token, uint8_t **buf, size_t *len,
		 struct qbx_err *err)
{
	Qemubox__Guest__V1__Boot boot = QEMUBOX__GUEST__V1__BOOT__INIT;
	_cleanup_(arena_free) struct arena arena = { 0 };
	uint8_t entropy[ENTROPY_LEN];
	struct timespec now;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return err_sys(err, errno, "get random bytes");
	clock_gettime(CLOCK_REALTIME, &now);
	boot.token.data = (uint8_t *)token;
	boot.token.len = GUEST_TOKEN_LEN;
	boot.entropy.data = entropy;
	boot.entropy.len = sizeof(entropy);
	boot.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	boot.hostname = (char *)box->id;
	if (fill_net(&arena, json_object_get(box->doc, "net"), &boot, err) < 0)
		return -1;
	return pack(&boot, buf, len, err);
}

int hello_refuse(const char *why, uint8_t **buf, size_t *len, struct qbx_err *err)
{
	Qemubox__Guest__V1__Boot boot = QEMUBOX__GUEST__V1__BOOT__INIT;

	boot.error = (char *)why;
	return pack(&boot, buf, len, err);
}
