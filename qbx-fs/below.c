/* SPDX-License-Identifier: Apache-2.0 */
/* below.c - look for a name in layers that are directories of the host's, mounted or not */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "fs.h"

static bool has(const struct layer *l, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	_cleanup_close_ int dir = open(l->from, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (dir < 0)
		return true;
	fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	return fd >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP);
}

bool below_has(const void *layers, const char *path)
{
	const struct layers *l = layers;

	for (size_t i = 0; i < l->n; i++)
		if (has(&l->v[i], path))
			return true;
	return false;
}
