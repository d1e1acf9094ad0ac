/* SPDX-License-Identifier: Apache-2.0 */
/* uri.c - what a client may name as a process's stdio */
#include "uri.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"

static const struct {
	const char *name;
	enum uri_kind kind;
} schemes[] = {
	{ "fifo:", URI_FIFO },
	{ "file:", URI_FILE },
	{ "binary:", URI_BINARY },
};

void uri_free(struct uri *u)
{
	for (size_t i = 0; i < u->nargs; i++)
		free(u->args[i]);
	free(u->args);
	free(u->path);
	memset(u, 0, sizeof(*u));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Undo percent-encoding. @plus: '+' is a blank. Return: a string that the caller frees, or NULL with
 * errno: EINVAL for what is no encoding, or would hold a NUL.
 */
static char *decode(const char *text, size_t len, bool plus)
{
	_cleanup_free_ char *out = malloc(len + 1);
	size_t n = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		int hi, lo;

		out[n++] = plus && text[i] == '+' ? ' ' : text[i];
		if (text[i] != '%')
			continue;
		hi = i + 2 < len ? hex_digit(text[i + 1]) : -1;
		lo = i + 2 < len ? hex_digit(text[i + 2]) : -1;
		if (hi < 0 || lo < 0 || (hi | lo) == 0) {
			errno = EINVAL;
			return NULL;
		}
		out[n - 1] = (char)(hi << 4 | lo);
		i += 2;
	}
	out[n] = '\0';
	return take_ptr(out);
}

static bool has_key(const struct uri *u, const char *key)
{
	for (size_t i = 0; i < u->nargs; i += 2)
		if (!strcmp(u->args[i], key))
			return true;
	return false;
}

/* One "key=value". Return: 0, or -1 with @err. */
static int add_pair(struct uri *u, const char *pair, size_t len, struct qbx_err *err)
{
	const char *eq = memchr(pair, '=', len);
	size_t key_len = eq ? (size_t)(eq - pair) : len;
	_cleanup_free_ char *key = NULL, *value = NULL;

	if (len == 0 || memchr(pair, ';', len))
		return 0;
	key = decode(pair, key_len, true);
	value = decode(pair + key_len + !!eq, len - key_len - !!eq, true);
	if (!key || !value)
		return errno == EINVAL ? 0 : err_sys(err, errno, "take arguments apart");
	if (has_key(u, key))
		return 0;
	if (u->nargs + 2 > URI_ARGS_MAX)
		return err_code(err, EX_DATAERR, "more than %u arguments", URI_ARGS_MAX);
	u->args[u->nargs++] = take_ptr(key);
	u->args[u->nargs++] = take_ptr(value);
	return 0;
}

static int parse_query(struct uri *u, const char *query, size_t len, struct qbx_err *err)
{
	u->args = calloc(URI_ARGS_MAX + 1, sizeof(*u->args));
	if (!u->args)
		return err_sys(err, ENOMEM, "take arguments apart");
	while (len > 0) {
		const char *amp = memchr(query, '&', len);
		size_t n = amp ? (size_t)(amp - query) : len;

		if (add_pair(u, query, n, err) < 0)
			return -1;
		query += n + !!amp;
		len -= n + !!amp;
	}
	return 0;
}

/* What follows the scheme: an authority, which must be empty, path, query and fragment. */
static int parse_rest(struct uri *u, const char *rest, struct qbx_err *err)
{
	size_t len = strcspn(rest, "#"), path_len;

	if (!strncmp(rest, "//", 2)) {
		rest += 2;
		len -= 2;
	}
	if (rest[0] != '/')
		return err_code(err, EX_DATAERR, "no absolute path behind the scheme");
	path_len = strcspn(rest, "?#");
	u->path = decode(rest, path_len, false);
	if (!u->path)
		return err_sys(err, errno, "take the path apart");
	if (u->kind != URI_BINARY)
		return 0;
	rest += path_len;
	len -= path_len;
	return parse_query(u, rest + (len > 0), len - (len > 0), err);
}

static int parse(struct uri *u, const char *text, struct qbx_err *err)
{
	if (!text[0])
		return 0;
	if (strlen(text) > URI_MAX)
		return err_code(err, EX_DATAERR, "more than %u bytes", URI_MAX);
	if (text[0] == '/') {
		u->kind = URI_FIFO;
		u->path = strdup(text);
		return u->path ? 0 : err_sys(err, ENOMEM, "open stdio");
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].name);

		if (strncasecmp(text, schemes[i].name, len) != 0)
			continue;
		u->kind = schemes[i].kind;
		return parse_rest(u, text + len, err);
	}
	return err_sys(err, ENOTSUP, "neither a path nor fifo://, file:// or binary://");
}

int uri_parse(struct uri *u, const char *text, struct qbx_err *err)
{
	memset(u, 0, sizeof(*u));
	if (parse(u, text, err) == 0 && !u->path == !text[0])
		return 0;
	uri_free(u);
	return -1;
}
