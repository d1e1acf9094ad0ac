/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c - what the box's cgroup on the host lets its processors have */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "cgroup.h"
#include "io.h"
#include "resize.h"

int quota_set(const struct resize *r, uint64_t quota_us, uint64_t period_us, struct qbx_err *err)
{
	const json_t *vm = json_object_get(r->box.doc, "vm");
	const char *cgroup = json_string_value(json_object_get(vm, "cgroup"));
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], text[64] = "max";

	if (!cgroup)
		return 0;
	if (strstr(cgroup, "..") ||
	    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cpu.max", cgroup) >= (int)sizeof(path))
		return err_code(err, EX_DATAERR, "vm.cgroup: \"%.80s\"", cgroup);
	if (quota_us)
		snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, quota_us, period_us);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !quota_us)
		return 0; /* no such controller, and nothing to hold */
	if (fd < 0 || io_write_all(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "write %s to %s", text, path);
	return 0;
}
