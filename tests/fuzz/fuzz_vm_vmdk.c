/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vm_vmdk.c - the description of a disk made of several files */
#include "fuzz.h"

#include "qbx-vm/vmdk.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size), *again = NULL;
	struct qbx_err err = { 0 };
	struct vmdk *d = vmdk_parse(text, &err);

	if (!d != (err.code != 0))
		abort();
	if (!d)
		return 0;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].path[0] != '/' || strpbrk(d->v[i].path, "\"\n"))
			abort();
	again = vmdk_rewrite(d, 7);
	vmdk_free(d);
	/* What is written for QEMU is a description of the same kind. */
	d = again ? vmdk_parse(again, &err) : NULL;
	if (!d)
		abort();
	vmdk_free(d);
	return 0;
}
