/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline.c - what the kernel command line says to init */
#include <errno.h>
#include <string.h>

#include "init.h"

#define KEY "qbx.port="

unsigned cmdline_port(const char *cmdline, struct qbx_err *err)
{
	const char *p = cmdline;
	unsigned long long port;
	char *end;

	while ((p = strstr(p, KEY)) && p != cmdline && p[-1] != ' ')
		p += strlen(KEY);
	if (!p) {
		err_code(err, EX_USAGE, "kernel command line: no " KEY "N");
		return 0;
	}
	p += strlen(KEY);
	errno = 0;
	port = strtoull(p, &end, 10);
	if (*p < '0' || *p > '9' || errno || port == 0 || port >= UINT32_MAX ||
	    (*end && *end != ' ' && *end != '\n')) {
		err_code(err, EX_USAGE, "kernel command line: " KEY "%.*s is not a vsock port",
			 (int)strcspn(p, " \n"), p);
		return 0;
	}
	return (unsigned)port;
}
