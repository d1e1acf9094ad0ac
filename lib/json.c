/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - what jansson leaves to its callers */
#include "json.h"

#include <errno.h>
#include <string.h>

#include "io.h"

json_t *json_parse(const char *text, size_t len, const char *what, struct qbx_err *err)
{
	json_error_t je;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);

	if (!j) {
		err_code(err, EX_DATAERR, "%s: not valid JSON: %s at line %d column %d", what, je.text,
			 je.line, je.column);
		return NULL;
	}
	if (!json_is_object(j)) {
		err_code(err, EX_DATAERR, "%s: a JSON object is wanted", what);
		json_decref(j);
		return NULL;
	}
	return j;
}

json_t *json_read_fd(int fd, const char *what, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (io_read_all(fd, JSON_FILE_MAX, what, &text, &len, err) < 0)
		return NULL;
	return json_parse(text, len, what, err);
}

json_t *json_read_file(int dirfd, const char *path, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (io_read_file(dirfd, path, JSON_FILE_MAX, &text, &len, err) < 0)
		return NULL;
	return json_parse(text, len, path, err);
}

/* One line of text with its newline, or NULL; the caller frees it. */
static char *one_line(const json_t *j, size_t *len)
{
	size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT);
	char *text = n ? malloc(n + 1) : NULL;

	if (!text)
		return NULL;
	json_dumpb(j, text, n, JSON_COMPACT);
	text[n] = '\n';
	*len = n + 1;
	return text;
}

int json_write_file(int dirfd, const char *path, mode_t mode, const json_t *j, struct qbx_err *err)
{
	size_t len;
	_cleanup_free_ char *text = one_line(j, &len);

	if (!text)
		return err_sys(err, ENOMEM, "write %s", path);
	return io_write_file(dirfd, path, mode, text, len, err);
}

int json_write_fd(int fd, const json_t *j, const char *what, struct qbx_err *err)
{
	size_t len;
	_cleanup_free_ char *text = one_line(j, &len);

	if (!text)
		return err_sys(err, ENOMEM, "write %s", what);
	if (io_write_all(fd, text, len) < 0)
		return err_sys(err, errno, "write %s", what);
	return 0;
}

const char **json_strv(const json_t *array, const char *what, struct qbx_err *err)
{
	size_t n = json_array_size(array), i;
	const char **v;
	json_t *item;

	if (array && !json_is_array(array)) {
		err_code(err, EX_DATAERR, "%s: an array of strings is wanted", what);
		return NULL;
	}
	v = calloc(n + 1, sizeof(*v));
	if (!v) {
		err_sys(err, ENOMEM, "%s", what);
		return NULL;
	}
	json_array_foreach(array, i, item) {
		v[i] = json_string_value(item);
		if (!v[i]) {
			err_code(err, EX_DATAERR, "%s: item %zu is not a string", what, i);
			free(v);
			return NULL;
		}
	}
	return v;
}
