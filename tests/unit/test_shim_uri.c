/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may name as stdio, as Go's net/url has it. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "qbx-shim/uri.c"

/* @args: joined by '|'. */
static void assert_parses(const char *text, enum uri_kind kind, const char *path, const char *args)
{
	struct qbx_err err = { 0 };
	char joined[200] = "";
	struct uri u;

	if (uri_parse(&u, text, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	assert_int_equal(u.kind, kind);
	if (path)
		assert_string_equal(u.path, path);
	else
		assert_null(u.path);
	for (size_t i = 0; i < u.nargs; i++)
		sprintf(joined + strlen(joined), "%s%s", i ? "|" : "", u.args[i]);
	assert_string_equal(joined, args);
	assert_true(!u.args || !u.args[u.nargs]);
	uri_free(&u);
}

static void paths(void **state)
{
	(void)state;
	assert_parses("", URI_NONE, NULL, "");
	assert_parses("/run/fifo/a%20b?c#d", URI_FIFO, "/run/fifo/a%20b?c#d", ""); /* no URI */
	assert_parses("fifo:///run/f", URI_FIFO, "/run/f", "");
	assert_parses("file:///a%2Fb%3f+c", URI_FILE, "/a/b?+c", "");
	assert_parses("FILE:/log", URI_FILE, "/log", "");
	assert_parses("file:///log?x=1#y", URI_FILE, "/log", "");
	assert_parses("file:///log#y?x=1", URI_FILE, "/log", "");
}

static void arguments(void **state)
{
	(void)state;
	assert_parses("binary:///l", URI_BINARY, "/l", "");
	assert_parses("binary:///l?", URI_BINARY, "/l", "");
	assert_parses("binary:///l?z=1&a=2&m", URI_BINARY, "/l", "z|1|a|2|m|");
	assert_parses("binary:///l?a+b=c%2bd%26&=v&e==", URI_BINARY, "/l", "a b|c+d&||v|e|=");
	assert_parses("binary:///l?k=1&k=2&%6b=3", URI_BINARY, "/l", "k|1");
	assert_parses("binary:///l?&&a=1&#b=2", URI_BINARY, "/l", "a|1");
	assert_parses("binary:///l?a?b=/c?", URI_BINARY, "/l", "a?b|/c?");
	/* What does not decode is left out. */
	assert_parses("binary:///l?a=%&b=%2&c=%zz&d=%00&%=e&f;g=h&i=j", URI_BINARY, "/l", "i|j");
}

static void refused(void **state)
{
	static const struct {
		const char *text;
		int sys;
	} cases[] = {
		{ "relative", ENOTSUP },
		{ "http:///x", ENOTSUP },
		{ "file", ENOTSUP },
		{ "file:x", 0 },
		{ "file://host/x", 0 },
		{ "file://", 0 },
		{ "file:", 0 },
		{ "file:///a%", EINVAL },
		{ "file:///a%4", EINVAL },
		{ "file:///%00", EINVAL },
		{ "binary://?a=b", 0 },
		{ "binary:///%g0?a", EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct qbx_err err = { 0 };
		struct uri u;

		assert_int_equal(uri_parse(&u, cases[i].text, &err), -1);
		assert_int_equal(err.sys, cases[i].sys);
		assert_null(u.path);
	}
}

static void bounded(void **state)
{
	char *text = malloc(URI_MAX + 2), *to = text;
	struct qbx_err err = { 0 };
	struct uri u;

	(void)state;
	to += sprintf(to, "binary:///l?");
	for (unsigned i = 0; i < URI_ARGS_MAX / 2; i++)
		to += sprintf(to, "%u&", i);
	assert_int_equal(uri_parse(&u, text, &err), 0);
	assert_int_equal(u.nargs, URI_ARGS_MAX);
	uri_free(&u);
	sprintf(to, "more");
	assert_int_equal(uri_parse(&u, text, &err), -1);
	memset(text, '/', URI_MAX + 1);
	text[URI_MAX + 1] = '\0';
	assert_int_equal(uri_parse(&u, text, &err), -1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(arguments),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
