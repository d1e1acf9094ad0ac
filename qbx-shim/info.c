/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info.c - what "-info" prints: a RuntimeInfo
 *
 * It makes no promise to take the snapshotter's raw mounts (containerd.io/runtime-allow-mounts), so
 * containerd mounts layers and hands over an overlay.
 */
#include <errno.h>

#include "io.h"
#include "shim.h"
#include "shim.pb-c.h"

int info_main(struct qbx_err *err)
{
	Qemubox__Shim__RuntimeVersion version = QEMUBOX__SHIM__RUNTIME_VERSION__INIT;
	Qemubox__Shim__RuntimeInfo info = QEMUBOX__SHIM__RUNTIME_INFO__INIT;
	uint8_t buf[256];

	info.name = (char *)"io.containerd.qemubox.v1";
	info.version = &version;
	version.version = (char *)QBX_VERSION;
	if (qemubox__shim__runtime_info__get_packed_size(&info) > sizeof(buf))
		BUG("runtime info is too large");
	if (io_write_all(STDOUT_FILENO, buf, qemubox__shim__runtime_info__pack(&info, buf)) < 0)
		return err_sys(err, errno, "write standard output");
	return 0;
}
