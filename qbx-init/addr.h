/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h - addresses as text */
#ifndef QBX_INIT_ADDR_H
#define QBX_INIT_ADDR_H

#include <stdint.h>

#define MAC_LEN 6

/* An address of a family, in network order, and how many of its bits are the network's. */
struct addr {
	int family; /* AF_INET or AF_INET6 */
	unsigned char bytes[16];
	unsigned len;	 /* bytes: 4 or 16 */
	unsigned prefix; /* bits; all of them where the text had no "/n" */
};

/** addr_parse() - "192.0.2.1" or "2001:db8::1". Return: 0, or -1. */
int addr_parse(const char *text, struct addr *a);

/** addr_parse_cidr() - "192.0.2.1/24" or "2001:db8::/64". Return: 0, or -1. */
int addr_parse_cidr(const char *text, struct addr *a);

/** mac_parse() - "02:00:5e:10:00:01". Return: 0, or -1. */
int mac_parse(const char *text, uint8_t mac[MAC_LEN]);

#endif
