/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_init_text.c - the short texts that init reads: mount options, names of disks, crun's log, the
 * command line
 */
#include "fuzz.h"

#include <string.h>

#include "qbx-init/cmdline.c"
#include "qbx-init/crun.c"
#include "qbx-init/diskname.c"
#include "qbx-init/mountopt.c"

/* crun.c needs it, and nothing here runs crun. */
int child_watch(struct vm *vm, pid_t pid, child_fn *fn, void *arg, struct qbx_err *err)
{
	(void)vm, (void)pid, (void)fn, (void)arg, (void)err;
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	char message[CRUN_MESSAGE_MAX];
	size_t left = size;
	struct qbx_err err = { 0 };
	struct disk_name n;
	struct mountopt o;

	if (!text)
		return 0;
	if (mountopt_parse(text, &o, &err) == 0 && o.kind == MOUNTOPT_STRING && !o.value)
		abort();
	if (disk_name_parse(text, &n, &err) == 0 &&
	    (!n.serial[0] || n.part.number > DISK_PARTS_MAX ||
	     (n.part.start + n.part.sectors) >> 54 || !n.part.number != !n.part.sectors))
		abort();
	if (path_is_beneath(text) && (text[0] == '/' || strstr(text, "/../")))
		abort();
	for (const char *at = (const char *)data; crun_log_next(&at, &left, "error", message);)
		if (!message[0] || strlen(message) >= sizeof(message) || strchr(message, '\n'))
			abort();
	(void)crun_errno(message);
	(void)!cmdline_port(text, &err);
	free(text);
	return 0;
}
