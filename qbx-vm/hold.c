/* SPDX-License-Identifier: Apache-2.0 */
/* hold.c - what a box holds of the host beside its directory: a uid, a CID, a cgroup */
#include <string.h>

#include "claim.h"
#include "json.h"
#include "log.h"
#include "vm.h"

/*
 * Beside the guest's memory: QEMU itself, its threads and page tables, the vsock daemon, and the
 * pages of the kernel's that are charged to them. TCG keeps translated code as well, up to 1 GiB.
 */
#define OVERHEAD_MIB 160u
#define OVERHEAD_PART 32u /* of the memory */
#define OVERHEAD_TCG_MIB 1024u
/* QEMU has a thread for each processor and up to 64 for a disk's requests. */
#define PIDS 512u

struct cgroup_limits hold_limits(const struct vm_spec *spec)
{
	uint64_t mib = spec->memory_max_mib;

	if (mib < spec->memory_mib)
		mib = spec->memory_mib;
	mib += OVERHEAD_MIB + mib / OVERHEAD_PART;
	if (spec->accel == ACCEL_TCG)
		mib += OVERHEAD_TCG_MIB;
	return (struct cgroup_limits){ .memory = mib << 20, .pids = PIDS };
}

/* Whoever starts a container with a specification counts on its limits: tell them. */
static void warn_without_cgroup(const struct box *box, bool asked)
{
	log_write(asked ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
		  "box %s: " CGROUP_MOUNT " is not cgroup v2: the host sets the VM no limit",
		  box->key);
}

int hold_plan(struct vm_spec *spec, const struct config *cfg, const struct box *box,
	      struct qbx_err *err)
{
	json_auto_t *oci = NULL;
	const json_t *linux_part;
	const char *given;

	spec->relaxed = confine_relaxed(cfg->relax);
	confine_warn(spec->relaxed, box->key);
	if (spec->relaxed & CONFINE_CGROUP)
		return 0;
	oci = box_spec(box, err);
	if (!oci && err->code)
		return err_wrap(err, "box %s", box->key);
	linux_part = json_object_get(oci, "linux");
	given = json_string_value(json_object_get(linux_part, "cgroupsPath"));
	if (!cgroup_usable()) {
		warn_without_cgroup(box, given != NULL);
		return 0;
	}
	if (cgroup_path(given, box->key, spec->cgroup, err) < 0)
		return err_wrap(err, "box %s", box->key);
	return 0;
}

int hold_take(struct vm *vm, struct qbx_err *err)
{
	struct claim_range uids = { VM_CLAIM_UID, vm->cfg->uid_first, vm->cfg->uid_count };
	struct cgroup_limits limits = hold_limits(&vm->spec);

	if (!(vm->spec.relaxed & CONFINE_UID) &&
	    claim_take(vm->cfg, &uids, vm->box->key, NULL, NULL, &vm->spec.uid, err) < 0)
		return -1;
	/* Written down before it is made: whatever becomes of this process, `stop` finds it. */
	if (vm_record(vm, err) < 0)
		return -1;
	return vm->spec.cgroup[0] ? cgroup_make(vm->spec.cgroup, &limits, err) : 0;
}

void hold_quota(const struct vm *vm)
{
	const struct vm_spec *spec = &vm->spec;
	struct qbx_err err = { 0 };
	char text[ERR_TEXT_MAX];

	if (spec->cgroup[0] &&
	    cgroup_quota(spec->cgroup, spec->cpu_quota_us, spec->cpu_period_us, &err) < 0)
		log_warn("%s", err_text(&err, text));
}

static int leave_cgroup(const struct box *box, int dirfd, struct qbx_err *err)
{
	json_auto_t *vm = vm_object_of(box, dirfd, err);
	const char *path = json_string_value(json_object_get(vm, "cgroup"));

	if (!vm && err->code)
		return -1;
	if (!path || !cgroup_usable())
		return 0;
	return cgroup_check(path, err) < 0 ? -1 : cgroup_remove(path, err);
}

int hold_release(const struct config *cfg, const struct box *box, int dirfd, struct qbx_err *err)
{
	if (leave_cgroup(box, dirfd, err) < 0 ||
	    claim_release(cfg, VM_CLAIM_UID, box->key, err) < 0)
		return -1;
	return claim_release(cfg, VM_CLAIM_CID, box->key, err);
}
