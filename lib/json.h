/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - what jansson leaves to its callers: bounded loads, strict loads, one-line output */
#ifndef QBX_JSON_H
#define QBX_JSON_H

#include <jansson.h>

#include "err.h"

#define JSON_FILE_MAX (4u << 20) /* no document that we read is larger: bytes */

/**
 * json_parse() - parse one JSON object, refusing duplicate keys, trailing bytes and other types
 * @what: name of the source for the error text
 * Return: new reference, or NULL with @err (EX_DATAERR).
 */
json_t *json_parse(const char *text, size_t len, const char *what, struct qbx_err *err) _must_check_;

/** json_read_fd() - json_parse() of a descriptor read to its end, at most JSON_FILE_MAX bytes. */
json_t *json_read_fd(int fd, const char *what, struct qbx_err *err) _must_check_;

/** json_read_file() - json_parse() of @path below @dirfd (or AT_FDCWD). */
json_t *json_read_file(int dirfd, const char *path, struct qbx_err *err) _must_check_;

/** json_write_file() - replace @path below @dirfd by @j, on one line, in one step. */
int json_write_file(int dirfd, const char *path, mode_t mode, const json_t *j,
		    struct qbx_err *err) _must_check_;

/**
 * json_write_fd() - write @j on one line to a blocking descriptor
 * Return: 0, or -1 with @err; nothing is written if @j cannot be serialised.
 */
int json_write_fd(int fd, const json_t *j, const char *what, struct qbx_err *err) _must_check_;

/**
 * json_strv() - an array of strings as argv
 * @array: borrowed; NULL gives an empty vector; other element types are EX_DATAERR
 * @what: name for the error text
 * Return: malloc'ed NULL-terminated vector of strings borrowed from @array, or NULL with @err.
 */
const char **json_strv(const json_t *array, const char *what, struct qbx_err *err) _must_check_;

#endif
