/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - addresses, prefixes and names as text */
#include "address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define DOMAIN_MAX 253 /* bytes of a domain name */

int ip_parse(const char *text, struct ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	ip->family = text && strchr(text, ':') ? AF_INET6 : AF_INET;
	ip->prefix = ip->family == AF_INET6 ? 128 : 32;
	return text && inet_pton(ip->family, text, ip->bytes) == 1 ? 0 : -1;
}

int cidr_parse(const char *text, struct ip *ip)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = text ? strchr(text, '/') : NULL;
	size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
	unsigned prefix = 0;

	if (!slash || (size_t)(slash - text) >= sizeof(address) || digits < 1 || digits > 3 ||
	    slash[1 + digits])
		return -1;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (ip_parse(address, ip) < 0)
		return -1;
	for (const char *p = slash + 1; *p; p++)
		prefix = prefix * 10 + (unsigned)(*p - '0');
	if (prefix > ip->prefix)
		return -1;
	ip->prefix = prefix;
	return 0;
}

void ip_mask(struct ip *ip)
{
	for (unsigned bit = ip->prefix; bit < sizeof(ip->bytes) * 8; bit++)
		ip->bytes[bit / 8] &= (unsigned char)~(0x80u >> (bit % 8));
}

json_t *ip_text(const struct ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(ip->family, ip->bytes, text, sizeof(text)));
}

json_t *cidr_text(const struct ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	return json_sprintf("%s/%u", inet_ntop(ip->family, ip->bytes, text, sizeof(text)),
			    ip->prefix);
}

json_t *mac_text(const char *text)
{
	unsigned m[6];
	int end = -1;

	if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5],
		   &end) != 6 ||
	    end != 17 || (m[0] & 1) || !(m[0] | m[1] | m[2] | m[3] | m[4] | m[5]))
		return NULL;
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

bool domain_ok(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
			return false;
	return len > 0 && len <= DOMAIN_MAX;
}
