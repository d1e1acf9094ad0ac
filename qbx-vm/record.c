/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - the "vm" object of the document, and vm.json, which holds it too */
#include "json.h"
#include "vm.h"

json_t *vm_object(const struct vm *vm)
{
	const struct vm_spec *spec = &vm->spec;
	json_t *j = vm->qemu.pid ? proc_to_json(&vm->qemu) : json_object();
	json_t *vsock =
		json_pack("{s:s}", "transport", spec->vhost_user ? "vhost-user" : "vhost-vsock");

	if (!spec->vhost_user)
		json_object_set_new(vsock, "cid", json_integer(spec->cid));
	if (vm->helper.pid)
		json_object_set_new(j, "helper", proc_to_json(&vm->helper));
	if (vm->share.pid)
		json_object_set_new(j, "virtiofsd", proc_to_json(&vm->share));
	json_object_set_new(j, "accel", json_string(accel_name(spec->accel)));
	json_object_set_new(j, "machine", json_string(machine_name(spec->machine)));
	json_object_set_new(j, "vcpus", json_integer(spec->vcpus));
	json_object_set_new(j, "vcpus_max", json_integer(spec->vcpus_max));
	json_object_set_new(j, "memory_mib", json_integer(spec->memory_mib));
	json_object_set_new(j, "memory_max_mib", json_integer(spec->memory_max_mib));
	json_object_set_new(j, "uid", json_integer(spec->uid));
	if (spec->cgroup[0])
		json_object_set_new(j, "cgroup", json_string(spec->cgroup));
	json_object_set_new(j, "vsock", vsock);
	if (vm->hello.kernel[0])
		json_object_set_new(j, "guest", json_pack("{s:s}", "kernel", vm->hello.kernel));
	return j;
}

int vm_record(const struct vm *vm, struct qbx_err *err)
{
	json_auto_t *j = vm_object(vm);

	return json_write_file(vm->dirfd, VM_FILE_VM, 0600, j, err);
}
