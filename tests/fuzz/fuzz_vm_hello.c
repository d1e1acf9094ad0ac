/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vm_hello.c - the first message of a guest */
#include "fuzz.h"

#include "qbx-vm/hello.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct hello h;

	if (hello_decode(data, size, &h, &err) < 0) {
		if (!err.code)
			abort();
		return 0;
	}
	/* What goes into the document and to terminals is plain text. */
	for (const char *p = h.kernel; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
	return 0;
}
