/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_shim_bootstrap.c - standard input of the shim's start */
#include "fuzz.h"

#include "qbx-shim/bootstrap.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct bootstrap b;

	if (bootstrap_decode(&b, data, size, "demo", "default", &err) < 0 && !err.msg[0])
		abort();
	if (b.socket_dir[0] && (!b.params || b.socket_dir[0] != '/'))
		abort();
	return 0;
}
