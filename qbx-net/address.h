/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - addresses, prefixes and names as text; no system calls */
#ifndef QBX_NET_ADDRESS_H
#define QBX_NET_ADDRESS_H

#include <jansson.h>
#include <stdbool.h>

/* An address with or without its prefix. */
struct ip {
	int family; /* AF_INET or AF_INET6; 0 in a zeroed one: none */
	unsigned char bytes[16];
	unsigned prefix;
};

/** ip_parse() - an address; its prefix is all of it. @text may be NULL. Return: 0 or -1. */
int ip_parse(const char *text, struct ip *ip);

/** cidr_parse() - an address and its prefix, "ADDRESS/N". @text may be NULL. Return: 0 or -1. */
int cidr_parse(const char *text, struct ip *ip);

/** ip_mask() - clear the bits after the prefix: the kernel takes no route that has any. */
void ip_mask(struct ip *ip);

/** ip_text() - new string, in the one form that inet_ntop(3) writes. */
json_t *ip_text(const struct ip *ip);

/** cidr_text() - the same with its prefix. */
json_t *cidr_text(const struct ip *ip);

/** mac_text() - six bytes that one station may have, in lower case; new, or NULL if they are not. */
json_t *mac_text(const char *text);

/** domain_ok() - is it a domain name, as far as a resolv.conf is concerned? */
bool domain_ok(const char *s);

#endif
