/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passwd.h - who is "USER[:GROUP]", by a container's own passwd and group files
 *
 * Source of the formats: passwd(5), group(5); of the rule, the OCI image configuration ("User").
 */
#ifndef QBX_PASSWD_H
#define QBX_PASSWD_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define PASSWD_GROUPS_MAX 256u

struct passwd_user {
	uint32_t uid, gid;
	uint32_t groups[PASSWD_GROUPS_MAX]; /* supplementary ones, in the order of the file */
	size_t ngroups;
};

/** passwd_needed() - can @spec be answered without the files? "" and "UID:GID" can. */
int passwd_needed(const char *spec);

/**
 * passwd_resolve() - who is @spec
 * @passwd, @group: texts of the files; "" if absent
 * A number that is in no file stands for itself, with group 0. Without a group the user's own one
 * and the supplementary ones of the group file are taken.
 *
 * Return: 0, or -1 with @err (EX_DATAERR): a name that is unknown, a number out of range.
 */
int passwd_resolve(const char *spec, const char *passwd, const char *group, struct passwd_user *u,
		   struct qbx_err *err) _must_check_;

#endif
