/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_uri.c - what a client names as stdio */
#include "fuzz.h"

#include "qbx-shim/uri.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct qbx_err err = { 0 };
	struct uri u;

	memcpy(text, data, size);
	text[size] = '\0';
	if (uri_parse(&u, text, &err) == 0) {
		if (!u.path != (u.kind == URI_NONE) || (u.path && u.path[0] != '/'))
			abort();
		if (!u.args != (u.kind != URI_BINARY) || (u.args && u.args[u.nargs]))
			abort();
		if (u.nargs % 2 || u.nargs > URI_ARGS_MAX)
			abort();
		/* What is to be an argument has an end within what was given. */
		for (size_t i = 0; u.args && i < u.nargs; i++)
			if (strlen(u.args[i]) > size)
				abort();
		uri_free(&u);
	} else if (!err.msg[0]) {
		abort();
	}
	free(text);
	return 0;
}
