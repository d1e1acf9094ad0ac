/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_template.c - options of containerd's mounts: templates, and directories to be made */
#include "fuzz.h"

#include "qbx-fs/template.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	const char *p = text;
	struct qbx_err err = { 0 };
	struct template_mkdir m;
	struct template t;

	if (!text)
		return 0;
	while (template_take(&p, &t, &err) == 1)
		if (t.first > TEMPLATE_INDEX_MAX || t.last > TEMPLATE_INDEX_MAX ||
		    p > text + strlen(text))
			abort();
	if (template_mkdir(text, &m, &err) == 1 &&
	    (!m.path_len || m.path + m.path_len > text + strlen(text) || m.mode > 0777))
		abort();
	free(text);
	return 0;
}
