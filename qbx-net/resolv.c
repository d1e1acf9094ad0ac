/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolv.c - the host's resolvers, for a network that names none
 *
 * Source of the format: resolv.conf(5). Where all that the host's file names is a stub on the host
 * itself, systemd-resolved(8) keeps what that asks in a file of its own.
 */
#include "resolv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "io.h"
#include "log.h"

#define FILE_MAX (64u << 10)
#define NAMESERVERS_MAX 8
#define SEARCH_MAX 32
#define WORD_MAX 253 /* bytes of a domain name */

/* An address that means something on the host only: loopback, or of one of its links. */
static bool is_local(const char *text)
{
	struct in6_addr a6;
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) == 1)
		return ntohl(a.s_addr) >> 24 == 127 || a.s_addr == 0;
	return inet_pton(AF_INET6, text, &a6) != 1 || IN6_IS_ADDR_LOOPBACK(&a6) ||
	       IN6_IS_ADDR_LINKLOCAL(&a6) || IN6_IS_ADDR_UNSPECIFIED(&a6);
}

static bool is_domain(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
	return *s && strcmp(s, ".") != 0;
}

/* The next word of a line, cut out of it. Return: its length, 0 at the end of the line. */
static size_t next_word(const char **at, const char *end, char word[WORD_MAX + 1])
{
	size_t n = 0;

	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r'))
		(*at)++;
	while (*at < end && !strchr(" \t\r", **at)) {
		if (n < WORD_MAX)
			word[n++] = **at;
		(*at)++;
	}
	word[n] = '\0';
	return n;
}

/* The last "search" or "domain" counts. */
static void take_search(const char *at, const char *end, json_t *search)
{
	char word[WORD_MAX + 1];

	json_array_clear(search);
	while (next_word(&at, end, word))
		if (is_domain(word) && json_array_size(search) < SEARCH_MAX)
			json_array_append_new(search, json_string(word));
}

static void take_line(const char *at, const char *end, json_t *servers, json_t *search)
{
	char word[WORD_MAX + 1];

	next_word(&at, end, word);
	if (!strcmp(word, "search") || !strcmp(word, "domain")) {
		take_search(at, end, search);
	} else if (!strcmp(word, "nameserver")) {
		next_word(&at, end, word);
		if (!is_local(word) && json_array_size(servers) < NAMESERVERS_MAX)
			json_array_append_new(servers, json_string(word));
	}
}

json_t *resolv_parse(const char *text, size_t len)
{
	json_t *servers = json_array(), *search = json_array();
	const char *at = text, *end = text + len;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (!eol)
			eol = end;
		take_line(at, eol, servers, search);
		at = eol + (eol < end);
	}
	return json_pack("{s:o, s:o}", "nameservers", servers, "search", search);
}

static json_t *read_file(const char *path)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	size_t len = 0;

	if (io_read_file(AT_FDCWD, path, FILE_MAX, &text, &len, &err) < 0)
		log_debug("%s", err.msg);
	return resolv_parse(text ? text : "", len);
}

json_t *resolv_host(void)
{
	json_t *dns = read_file("/etc/resolv.conf");

	if (json_array_size(json_object_get(dns, "nameservers")))
		return dns;
	json_decref(dns);
	return read_file("/run/systemd/resolve/resolv.conf");
}
