/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resize.c - qbx-vm resize: give a running VM more processors or memory, or less
 *
 * Two resizes of one box do not run at a time. The box's own lock is held only while vm.json is
 * written: a stop does not wait for a guest that is slow.
 */
#include "resize.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "cgroup.h"
#include "json.h"
#include "verbs.h"

#define MEMORY_MAX_MIB (1u << 20)

/* A whole number from 1 to @max; 0 when the option was not given. */
static int parse_count(const char *option, const char *text, unsigned max, unsigned *n,
		       struct qbx_err *err)
{
	unsigned long value;
	char *end;

	*n = 0;
	if (!text)
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value == 0 || value > max)
		return err_code(err, EX_USAGE, "--%s: \"%s\" is not a number from 1 to %u", option,
				text, max);
	*n = (unsigned)value;
	return 0;
}

/* ---- the VM ---- */

static unsigned number(const json_t *vm, const char *key, unsigned fallback)
{
	json_int_t n = json_integer_value(json_object_get(vm, key));

	return n > 0 && n <= (json_int_t)MEMORY_MAX_MIB ? (unsigned)n : fallback;
}

static int take_vm(struct resize *r, json_t *vm, struct qbx_err *err)
{
	const char *machine = json_string_value(json_object_get(vm, "machine"));

	r->vcpus = number(vm, "vcpus", 0);
	r->vcpus_max = number(vm, "vcpus_max", r->vcpus);
	r->memory_mib = number(vm, "memory_mib", 0);
	r->memory_max_mib = number(vm, "memory_max_mib", r->memory_mib);
	r->q35 = machine && !strcmp(machine, "q35");
	if (r->vcpus == 0 || r->memory_mib == 0)
		return err_code(err, EX_DATAERR, "%s holds no size", VM_FILE_VM);
	return 0;
}

/* The token is as old as the VM, and nobody else locks it. */
static int lock(struct resize *r, struct qbx_err *err)
{
	r->lock = openat(r->dirfd, VM_FILE_TOKEN, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (r->lock < 0)
		return err_sys(err, errno, "open %s", VM_FILE_TOKEN);
	if (flock(r->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_code(err, EX_TEMPFAIL, "another resize of it is under way");
}

static int check_runs(const struct resize *r, struct qbx_err *err)
{
	_cleanup_close_ int pidfd = -1;
	struct procs found;

	if (halt_find(&r->box, r->dirfd, &found, err) < 0)
		return -1;
	pidfd = found.qemu.pid ? proc_open(&found.qemu) : -1;
	return pidfd < 0 ? err_code(err, EX_UNAVAILABLE, "it does not run") : 0;
}

static void resize_free(struct resize *r)
{
	box_free(&r->box);
	if (r->lock >= 0)
		close(r->lock);
	if (r->dirfd >= 0)
		close(r->dirfd);
}

/* Find the box's VM, which runs, and keep others from resizing it. */
static int find(struct resize *r, struct qbx_err *err)
{
	json_auto_t *vm = NULL;

	r->dirfd = box_dir_open(r->cfg, &r->box, 0, err);
	if (r->dirfd < 0)
		return err->sys == ENOENT ? err_code(err, EX_UNAVAILABLE, "it does not run") : -1;
	if (check_runs(r, err) < 0 || lock(r, err) < 0)
		return -1;
	vm = json_read_file(r->dirfd, VM_FILE_VM, err);
	if (!vm || take_vm(r, vm, err) < 0)
		return -1;
	/* The document may be older, or not know of the VM; its timings stay. */
	if (!json_object_get(r->box.doc, "vm"))
		json_object_set_new(r->box.doc, "vm", json_object());
	json_object_update(json_object_get(r->box.doc, "vm"), vm);
	return 0;
}

/* ---- the size ---- */

/* A size, 0 for what stays as it is; and the quota that goes with it, if the quota is to change. */
struct goal {
	unsigned vcpus, memory_mib;
	bool quota;
	uint64_t quota_us, period_us;
};

/*
 * What the box's specification asks for, as far as it is more than the VM has: the formula of "size"
 * for a machine that has all it needs.
 */
static int ask_spec(const struct resize *r, struct goal *goal, struct qbx_err *err)
{
	struct size wanted = { 0 };
	struct limits limits;

	if (limits_make(&limits, r->cfg, &r->box, err) < 0)
		return -1;
	limits.machine = MACHINE_MICROVM;
	if (size_make(&limits, &wanted, NULL, err) < 0)
		return -1;
	if (wanted.vcpus > r->vcpus)
		goal->vcpus = wanted.vcpus;
	if (limits.memory_bytes && wanted.memory_mib > r->memory_mib)
		goal->memory_mib = wanted.memory_mib;
	goal->quota = true;
	goal->quota_us = wanted.cpu_quota_us;
	goal->period_us = wanted.cpu_period_us;
	return 0;
}

static int check(const struct resize *r, const struct goal *goal, struct qbx_err *err)
{
	if (goal->vcpus > r->vcpus_max)
		return err_code(err, EX_UNAVAILABLE, "%u vCPUs are more than its most, %u",
				goal->vcpus, r->vcpus_max);
	if (goal->memory_mib > r->memory_max_mib)
		return err_code(err, EX_UNAVAILABLE, "%u MiB are more than its most, %u MiB",
				goal->memory_mib, r->memory_max_mib);
	return 0;
}

static void write_size(const struct resize *r, json_t *vm)
{
	json_object_set_new(vm, "vcpus", json_integer(r->vcpus));
	json_object_set_new(vm, "memory_mib", json_integer(r->memory_mib));
}

static int record(const struct resize *r, struct qbx_err *err)
{
	_cleanup_close_ int box_lock = dir_lock_again(r->cfg, &r->box, r->dirfd, err);
	json_auto_t *vm = box_lock < 0 ? NULL : json_read_file(r->dirfd, VM_FILE_VM, err);

	if (!vm)
		return -1;
	write_size(r, vm);
	write_size(r, json_object_get(r->box.doc, "vm"));
	return json_write_file(r->dirfd, VM_FILE_VM, 0600, vm, err);
}

/* What the box's cgroup on the host, if it has one, lets its processors have. */
static int set_quota(const struct resize *r, const struct goal *goal, struct qbx_err *err)
{
	const json_t *vm = json_object_get(r->box.doc, "vm");
	const char *path = json_string_value(json_object_get(vm, "cgroup"));

	if (!path)
		return 0;
	if (cgroup_check(path, err) < 0)
		return -1;
	return cgroup_quota(path, goal->quota_us, goal->period_us, err);
}

/* What was done is written down also when the second half fails. */
static int apply(struct resize *r, const struct goal *goal, struct qbx_err *err)
{
	struct qbx_err second = { 0 };
	int rc = 0;

	if (goal->vcpus)
		rc = cpus_set(r, goal->vcpus, err);
	if (rc == 0 && goal->memory_mib && goal->memory_mib != r->memory_mib)
		rc = memory_set(r, goal->memory_mib, err);
	if (rc == 0 && goal->quota)
		rc = set_quota(r, goal, err);
	if (record(r, rc < 0 ? &second : err) < 0)
		return -1;
	return rc;
}

static int print_plan(const struct resize *r, const struct goal *goal, struct qbx_err *err)
{
	if (goal->vcpus)
		printf("%u vCPUs, now %u, at most %u\n", goal->vcpus, r->vcpus, r->vcpus_max);
	if (goal->memory_mib)
		printf("%u MiB, now %u, at most %u\n", goal->memory_mib, r->memory_mib,
		       r->memory_max_mib);
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int resize_box(struct resize *r, bool dry_run, struct goal *goal, struct qbx_err *err)
{
	bool by_spec = !goal->vcpus && !goal->memory_mib;

	if (find(r, err) < 0 || (by_spec && ask_spec(r, goal, err) < 0) || check(r, goal, err) < 0)
		return err_wrap(err, "box %s", r->box.key);
	if (dry_run)
		return print_plan(r, goal, err);
	if (apply(r, goal, err) < 0)
		return err_wrap(err, "box %s", r->box.key);
	return cli_emit(r->box.doc, err);
}

static int resize(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(resize_free) struct resize r = { .cfg = &cli->cfg, .dirfd = -1, .lock = -1 };
	struct goal goal = { 0 };

	if (parse_count("vcpus", vm_options.vcpus, RESIZE_VCPUS_MAX, &goal.vcpus, err) < 0 ||
	    parse_count("memory-mib", vm_options.memory_mib, MEMORY_MAX_MIB, &goal.memory_mib,
			err) < 0 ||
	    cli_read_box(cli, &r.box, err) < 0)
		return -1;
	return resize_box(&r, cli->dry_run, &goal, err);
}

const struct cli_verb verb_resize = {
	.name = "resize",
	.help = "give the box's running VM another size, within its limits",
	.run = resize,
};
