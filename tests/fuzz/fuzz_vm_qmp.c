/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_vm_qmp.c - one line of QEMU's monitor */
#include "fuzz.h"

#include "qbx-vm/qmp.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	enum qmp_kind kind = QMP_EVENT;
	json_t *body;
	int ret = qmp_decode((const char *)data, size, &kind, &body, &err);

	if ((ret < 0) != (err.code != 0) || (body && (ret < 0 || kind != QMP_RETURN)))
		abort();
	json_decref(body);
	return 0;
}
