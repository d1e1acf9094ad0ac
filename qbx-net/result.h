/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - what plugins answer: everything from one passes here; no system calls */
#ifndef QBX_NET_RESULT_H
#define QBX_NET_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/**
 * result_link() - what a result says of the guest's interface
 * @id: container id; an interface whose sandbox it is stands for the guest's own side of a TAP
 * Return: new {"name", "addresses", "routes"}, with "mac" where the result has it, or NULL with
 * @err.
 */
json_t *result_link(const json_t *result, const char *ifname, const char *id,
		    struct qbx_err *err) _must_check_;

/** result_dns() - new {"nameservers", "search"}, or NULL with @err. */
json_t *result_dns(const json_t *result, struct qbx_err *err) _must_check_;

/** result_join_dns() - what @more has and @dns has not goes to its end, as far as there is room. */
void result_join_dns(json_t *dns, const json_t *more);

/** result_drop_routes() - remove @link's routes to where one of @links goes already. */
void result_drop_routes(json_t *link, const json_t *links);

/** result_inside() - names of interfaces in a sandbox, borrowed from @result. Return: how many. */
size_t result_inside(const json_t *result, const char **names, size_t max);

/**
 * result_error() - the error of a plugin that failed, in one line of ASCII
 * @status: its exit status
 * @out, @errout: what it printed, NUL-terminated, or NULL
 * Return: -1, always, with @err: the plugin's own message, else its standard error.
 */
int result_error(int status, const char *out, size_t out_len, const char *errout,
		 struct qbx_err *err);

/** result_ascii() - @text into @buf as one line of printable ASCII, cut to fit. Return: @buf. */
char *result_ascii(char *buf, size_t size, const char *text);

/* convert.c: no system calls */

/**
 * result_convert() - a result in the version that is spoken, which is what it says then
 * Return: 0, or -1 with @err (EX_UNAVAILABLE) if it is of a version that is not known.
 */
int result_convert(json_t *result, const char *version, struct qbx_err *err) _must_check_;

#endif
