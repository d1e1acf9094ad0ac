/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brake.c - containers that are held back until the machine has been given more memory
 *
 * A program can use up memory faster than anybody can look. memory.high of its cgroup, a little
 * below what the guest has, makes the kernel slow it down there rather than kill it; the pressure
 * that this makes is what the host then sees. See the kernel's admin-guide/cgroup-v2.rst.
 *
 * By default the kernel also refuses a single allocation that is larger than all the memory there
 * is; but there may be more by the time that it is used.
 */
#include "brake.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "container.h"
#include "io.h"
#include "log.h"

#define LEFT_KIB (96u << 10) /* at least, and at least an eighth */
#define FORGOTTEN_MS 20000u

static int write_high(const struct container *c, const char *text, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/memory.high", c->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if ((fd < 0 || write(fd, text, strlen(text)) < 0) && errno != ENOENT && errno != ENODEV)
		return err_sys(err, errno, "write %s", path);
	return 0;
}

/* One that the container's own limits have set stays. */
static bool has_its_own(const struct container *c)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	char path[PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/memory.high", c->cgroup);
	return io_read_file(AT_FDCWD, path, 64, &text, &len, &err) < 0 ||
	       strcmp(text, "max\n") != 0;
}

static void hold(struct container *c, uint64_t high_kib)
{
	struct qbx_err err = { 0 };
	char text[32] = "max";

	if (c->brake_kib == high_kib || !c->cgroup[0])
		return;
	if (c->brake_kib == 0 && has_its_own(c))
		return;
	if (high_kib)
		snprintf(text, sizeof(text), "%" PRIu64, high_kib * 1024);
	if (write_high(c, text, &err) < 0)
		log_warn("container %s: %s", c->id, err.msg);
	c->brake_kib = high_kib;
}

static void hold_all(struct vm *vm, uint64_t high_kib)
{
	for (struct container *c = vm->containers; c; c = c->next)
		hold(c, high_kib);
}

static void on_forgotten(void *arg)
{
	struct vm *vm = arg;

	vm->brake = NULL;
	hold_all(vm, 0);
}

/* Once is enough: what has been promised cannot be taken back. */
static void promise_more(struct vm *vm)
{
	static const char path[] = "/proc/sys/vm/overcommit_memory";
	_cleanup_close_ int fd = -1;

	if (vm->promises)
		return;
	vm->promises = true;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) < 0)
		log_warn("write %s: %s", path, strerror(errno));
}

void brake_set(struct vm *vm, bool grows, uint64_t memory_total_kib)
{
	uint64_t left = memory_total_kib / 8 > LEFT_KIB ? memory_total_kib / 8 : LEFT_KIB;
	struct qbx_err err = { 0 };

	loop_remove(vm->brake);
	vm->brake = NULL;
	if (grows)
		promise_more(vm);
	if (grows && memory_total_kib > 2 * left)
		vm->brake = loop_add_timer(vm->loop, FORGOTTEN_MS, on_forgotten, vm, &err);
	hold_all(vm, vm->brake ? memory_total_kib - left : 0);
}
