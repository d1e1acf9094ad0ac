/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "qbx-init/addr.c"
#include "qbx-init/boot.c"
#include "qbx-init/cmdline.c"

static void addresses(void **state)
{
	static const char *const bad[] = { "",
					   "10.0.0.1",
					   "10.0.0.1/",
					   "10.0.0.1/33",
					   "10.0.0.1/-1",
					   "10.0.0.1/8x",
					   "10.0.0/8",
					   "fd00::1/129",
					   "fd00::1/0008",
					   "/24",
					   "::g/64" };
	struct addr a = { 0 };

	(void)state;
	assert_int_equal(addr_parse_cidr("192.0.2.7/24", &a), 0);
	assert_int_equal(a.family, AF_INET);
	assert_int_equal(a.len, 4);
	assert_int_equal(a.prefix, 24);
	assert_memory_equal(a.bytes, "\xc0\x00\x02\x07", 4);
	assert_int_equal(addr_parse_cidr("::/0", &a), 0);
	assert_int_equal(a.family, AF_INET6);
	assert_int_equal(a.prefix, 0);
	assert_int_equal(addr_parse("2001:db8::1", &a), 0);
	assert_int_equal(a.prefix, 128);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(addr_parse_cidr(bad[i], &a), -1);
	assert_int_equal(addr_parse("10.0.0.1/8", &a), -1);
}

static void macs(void **state)
{
	uint8_t mac[MAC_LEN];

	(void)state;
	assert_int_equal(mac_parse("02:00:5e:10:aB:fF", mac), 0);
	assert_memory_equal(mac, "\x02\x00\x5e\x10\xab\xff", MAC_LEN);
	assert_int_equal(mac_parse("02:00:5e:10:00", mac), -1);
	assert_int_equal(mac_parse("02:00:5e:10:00:0", mac), -1);
	assert_int_equal(mac_parse("02-00-5e-10-00-01", mac), -1);
	assert_int_equal(mac_parse("02:00:5e:10:00:0g", mac), -1);
	assert_int_equal(mac_parse("", mac), -1);
}

static void ports(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(cmdline_port("quiet qbx.port=1234 panic=-1\n", &err), 1234);
	assert_int_equal(cmdline_port("qbx.port=4294967294\n", &err), 4294967294u);
	assert_int_equal(cmdline_port("xqbx.port=1 qbx.port=2", &err), 2);
	assert_int_equal(cmdline_port("quiet", &err), 0);
	assert_int_equal(cmdline_port("xqbx.port=1", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=0", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=-1", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=4294967295", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=99999999999999999999", &err), 0);
	assert_int_equal(cmdline_port("qbx.port=12x", &err), 0);
	assert_non_null(strstr(err.msg, "12x"));
}

/* A message that is right in all parts, for a test to spoil one. */
struct sample {
	Boot boot;
	Link link, *links[9];
	Route route, *routes[1];
	char *addresses[1], *nameservers[1], *search[1];
	uint8_t token[GUEST_TOKEN_LEN];
};

static void sample_init(struct sample *s)
{
	memset(s, 0, sizeof(*s));
	qemubox__guest__v1__boot__init(&s->boot);
	qemubox__guest__v1__link__init(&s->link);
	qemubox__guest__v1__route__init(&s->route);
	s->route.dst = (char *)"0.0.0.0/0";
	s->route.gw = (char *)"192.0.2.1";
	s->routes[0] = &s->route;
	s->addresses[0] = (char *)"192.0.2.2/24";
	s->nameservers[0] = (char *)"192.0.2.1";
	s->search[0] = (char *)"example.org";
	s->link.name = (char *)"eth0";
	s->link.mac = (char *)"02:00:00:00:00:01";
	s->link.mtu = 1450;
	s->link.n_addresses = 1;
	s->link.addresses = s->addresses;
	s->link.n_routes = 1;
	s->link.routes = s->routes;
	for (size_t i = 0; i < ARRAY_SIZE(s->links); i++)
		s->links[i] = &s->link;
	s->boot.token.data = s->token;
	s->boot.token.len = sizeof(s->token);
	s->boot.time_ns = 1;
	s->boot.hostname = (char *)"demo";
	s->boot.n_links = 1;
	s->boot.links = s->links;
	s->boot.n_nameservers = s->boot.n_search = 1;
	s->boot.nameservers = s->nameservers;
	s->boot.search = s->search;
}

static Boot *through_the_wire(const struct sample *s, struct qbx_err *err)
{
	uint8_t buf[8192];
	size_t len = qemubox__guest__v1__boot__get_packed_size(&s->boot);

	assert_true(len <= sizeof(buf));
	qemubox__guest__v1__boot__pack(&s->boot, buf);
	memset(err, 0, sizeof(*err));
	return boot_parse(buf, len, err);
}

static void refused(const struct sample *s, const char *why)
{
	struct qbx_err err;

	assert_null(through_the_wire(s, &err));
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void a_boot_message_is_taken(void **state)
{
	struct sample s;
	struct qbx_err err;
	Boot *b;

	(void)state;
	sample_init(&s);
	b = through_the_wire(&s, &err);
	assert_non_null(b);
	assert_string_equal(b->links[0]->routes[0]->gw, "192.0.2.1");
	boot_free(b);
}

#define SPOIL(member, value, why) \
	do {                      \
		sample_init(&s);  \
		s.member = value; \
		refused(&s, why); \
	} while (0)

static void a_bad_boot_message_is_refused(void **state)
{
	static uint8_t much[2000];
	struct sample s;
	struct qbx_err err = { 0 };

	(void)state;
	SPOIL(boot.error, (char *)"no room", "the host refuses this guest: no room");
	SPOIL(boot.token.len, 31, "token of 31 bytes");
	SPOIL(boot.time_ns, -1, "time before 1970");
	SPOIL(boot.hostname, (char *)"a b", "host name");
	SPOIL(boot.n_links, 9, "links are too many");
	SPOIL(link.name, (char *)"eth0/../x", "interface name");
	SPOIL(link.name, (char *)"", "interface name");
	SPOIL(link.name, (char *)"..", "interface name");
	SPOIL(link.name, (char *)"sixteen-letters-", "interface name");
	SPOIL(link.mac, (char *)"x", "MAC address");
	SPOIL(link.mtu, 67, "MTU 67");
	SPOIL(link.mtu, 65536, "MTU 65536");
	SPOIL(addresses[0], (char *)"192.0.2.2", "address");
	SPOIL(route.dst, (char *)"default", "route");
	SPOIL(route.gw, (char *)"fd00::1", "gateway");
	SPOIL(nameservers[0], (char *)"dns.example.org", "name server");
	SPOIL(search[0], (char *)"a\nnameserver 192.0.2.9", "search domain");
	sample_init(&s);
	s.boot.entropy.data = much;
	s.boot.entropy.len = sizeof(much);
	refused(&s, "bytes of entropy");
	assert_null(boot_parse((const uint8_t *)"\x0a\xff", 2, &err));
	assert_non_null(strstr(err.msg, "does not parse"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(macs),
		cmocka_unit_test(ports),
		cmocka_unit_test(a_boot_message_is_taken),
		cmocka_unit_test(a_bad_boot_message_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
