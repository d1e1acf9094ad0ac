/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountinfo.h - decode /proc/self/mountinfo
 *
 * Source of the format: proc_pid_mountinfo(5). Blank, tab, newline and backslash in a field are
 * written as a backslash and three octal digits.
 */
#ifndef QBX_MOUNTINFO_H
#define QBX_MOUNTINFO_H

#include "err.h"

/* One mount; the strings are unescaped and point into the text that was parsed. */
struct mountinfo {
	unsigned long long id;
	unsigned major, minor; /* st_dev of what is below it */
	const char *root; /* the directory of the file system that is mounted: "/" is all of it */
	const char *point, *fstype, *source, *super_options;
};

/**
 * mountinfo_next() - decode the line at *@cursor
 * @cursor: into NUL-terminated text, which is changed in place; moved to the next line
 * Return: 1, 0 at the end of the text, or -1 with @err (EX_DATAERR) on a line that is not as it
 * should be.
 */
int mountinfo_next(char **cursor, struct mountinfo *m, struct qbx_err *err) _must_check_;

/** mountinfo_find() - the mount numbered @id in @text. Return: 1, 0 if there is none, or -1. */
int mountinfo_find(char *text, unsigned long long id, struct mountinfo *m,
		   struct qbx_err *err) _must_check_;

#endif
