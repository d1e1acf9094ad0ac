/* SPDX-License-Identifier: Apache-2.0 */
/* addr.c - addresses as text */
#include "addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int addr_parse(const char *text, struct addr *a)
{
	memset(a, 0, sizeof(*a));
	a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	a->len = a->family == AF_INET6 ? 16 : 4;
	a->prefix = a->len * 8;
	return inet_pton(a->family, text, a->bytes) == 1 ? 0 : -1;
}

int addr_parse_cidr(const char *text, struct addr *a)
{
	const char *slash = strchr(text, '/');
	char host[INET6_ADDRSTRLEN];
	unsigned long prefix;
	size_t len, digits;

	if (!slash)
		return -1;
	len = (size_t)(slash - text);
	digits = strspn(slash + 1, "0123456789");
	if (len >= sizeof(host) || digits == 0 || digits > 3 || slash[1 + digits])
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (addr_parse(host, a) < 0)
		return -1;
	prefix = strtoul(slash + 1, NULL, 10);
	if (prefix > a->prefix)
		return -1;
	a->prefix = (unsigned)prefix;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(const char *text, uint8_t mac[MAC_LEN])
{
	if (strlen(text) != MAC_LEN * 3 - 1)
		return -1;
	for (int i = 0; i < MAC_LEN; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < MAC_LEN - 1 && text[3 * i + 2] != ':'))
			return -1;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
