/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_passwd.c - USER[:GROUP], a passwd file and a group file, with a NUL between them */
#include "fuzz.h"

#include "qbx-fs/passwd.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 3);
	const char *passwd, *group;
	struct qbx_err err = { 0 };
	struct passwd_user u;

	if (!text)
		return 0;
	memcpy(text, data, size);
	passwd = text + strlen(text) + 1;
	group = passwd < text + size ? passwd + strlen(passwd) + 1 : passwd;
	if (passwd_resolve(text, passwd, group, &u, &err) == 0) {
		if (u.uid > ID_MAX || u.gid > ID_MAX || u.ngroups > PASSWD_GROUPS_MAX)
			abort();
	} else if (!passwd_needed(text)) {
		abort(); /* what needs no files is answered without them */
	}
	free(text);
	return 0;
}
