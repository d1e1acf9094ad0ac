/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info.c - what "-info" prints: a RuntimeInfo
 *
 * The annotation tells containerd 2.2 and later which mounts of a snapshotter's to leave to us, as they
 * are: images are disks of the VM, and templates are qbx-fs's to read. Without it containerd would mount
 * the layers and hand over an overlay.
 */
#include <errno.h>

#include "io.h"
#include "shim.h"
#include "shim.pb-c.h"

int info_main(struct qbx_err *err)
{
	Qemubox__Shim__RuntimeVersion version = QEMUBOX__SHIM__RUNTIME_VERSION__INIT;
	Qemubox__Shim__RuntimeInfo info = QEMUBOX__SHIM__RUNTIME_INFO__INIT;
	Qemubox__Shim__Annotation mounts = QEMUBOX__SHIM__ANNOTATION__INIT;
	Qemubox__Shim__Annotation *annotations[] = { &mounts };
	uint8_t buf[256];

	info.name = (char *)"io.containerd.qemubox.v1";
	info.version = &version;
	version.version = (char *)QBX_VERSION;
	mounts.key = (char *)"containerd.io/runtime-allow-mounts";
	mounts.value = (char *)"mkdir/*,format/*,erofs";
	info.annotations = annotations;
	info.n_annotations = ARRAY_SIZE(annotations);
	if (qemubox__shim__runtime_info__get_packed_size(&info) > sizeof(buf))
		BUG("runtime info is too large");
	if (io_write_all(STDOUT_FILENO, buf, qemubox__shim__runtime_info__pack(&info, buf)) < 0)
		return err_sys(err, errno, "write standard output");
	return 0;
}
