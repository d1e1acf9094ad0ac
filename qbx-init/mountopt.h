/* SPDX-License-Identifier: Apache-2.0 */
/* mountopt.h - mount options as text, one at a time */
#ifndef QBX_INIT_MOUNTOPT_H
#define QBX_INIT_MOUNTOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define MOUNTOPT_VALUE_MAX 255u /* bytes that fsconfig(2) takes as a string */

/* What one option means to the new mount calls. */
struct mountopt {
	enum {
		MOUNTOPT_ATTR,	 /* of the mount: set or clear attr */
		MOUNTOPT_FLAG,	 /* of the file system: name alone */
		MOUNTOPT_STRING, /* of the file system: name and value */
		MOUNTOPT_NOTHING /* means nothing here: "defaults", "loop" */
	} kind;
	bool clear;
	uint64_t attr; /* MOUNT_ATTR_* */
	char name[32];
	const char *value; /* borrowed from the option's text */
};

/** mountopt_parse() - Return: 0, or -1 with @err for an option that cannot be had here. */
int mountopt_parse(const char *text, struct mountopt *o, struct qbx_err *err) _must_check_;

/** path_is_beneath() - relative, and no component is empty, "." or ".."; at most 255 bytes */
bool path_is_beneath(const char *path);

#endif
