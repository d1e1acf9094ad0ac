/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - how busy the guest is
 *
 * Sources: the kernel's Documentation/accounting/psi.rst, admin-guide/cgroup-v2.rst (cpu.stat,
 * memory.current, memory.max) and filesystems/proc.rst (meminfo).
 */
#include "stats.h"

#include <fcntl.h>
#include <limits.h>

#include "brake.h"
#include "clock.h"
#include "container.h"
#include "cpus.h"
#include "field.h"
#include "guest.pb-c.h"
#include "io.h"

#define TEXT_MAX 65536u

struct field {
	const char *path, *line, *word;
	uint64_t *value;
};

static int read_field(const struct field *f, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (io_read_file(AT_FDCWD, f->path, TEXT_MAX, &text, &len, err) < 0)
		return -1;
	if (field_number(text, f->line, f->word, f->value) < 0)
		return err_code(err, EX_SOFTWARE, "%s: no %s%s", f->path, f->line ? f->line : "",
				f->word);
	return 0;
}

static int read_guest(Qemubox__Guest__V1__StatsResponse *r, struct qbx_err *err)
{
	const struct field fields[] = {
		{ CGROUP_ROOT "/cpu.stat", "usage_usec", "", &r->cpu_us },
		{ "/proc/pressure/cpu", "some", "total=", &r->cpu_some_us },
		{ "/proc/pressure/memory", "some", "total=", &r->memory_some_us },
		{ "/proc/pressure/memory", "full", "total=", &r->memory_full_us },
		{ "/proc/meminfo", "MemTotal:", "", &r->memory_total_kib },
		{ "/proc/meminfo", "MemAvailable:", "", &r->memory_available_kib },
	};
	uint64_t set;
	int online, present;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (read_field(&fields[i], err) < 0)
			return -1;
	online = cpus_read("online", &set, err);
	present = online < 0 ? -1 : cpus_read("present", &set, err);
	if (present < 0)
		return -1;
	r->cpus_online = (unsigned)online;
	r->cpus_present = (unsigned)present;
	r->uptime_us = io_now_us();
	return 0;
}

/* A number in a file of a cgroup; 0 for "max", and where the cgroup has just gone. */
static uint64_t cgroup_number(const char *cgroup, const char *name)
{
	char path[PATH_MAX];
	uint64_t value = 0;
	struct qbx_err err = { 0 };
	const struct field f = { path, NULL, "", &value };

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/%s", cgroup, name);
	return read_field(&f, &err) == 0 ? value : 0;
}

/* @list and @slots have CONTAINERS_MAX entries. */
static void read_containers(const struct vm *vm, Qemubox__Guest__V1__StatsResponse *r,
			    Qemubox__Guest__V1__ContainerStats *list,
			    Qemubox__Guest__V1__ContainerStats **slots)
{
	r->containers = slots;
	for (struct container *c = vm->containers; c; c = c->next) {
		Qemubox__Guest__V1__ContainerStats *s = &list[r->n_containers];

		if (!c->cgroup[0] || r->n_containers >= CONTAINERS_MAX)
			continue;
		qemubox__guest__v1__container_stats__init(s);
		s->id = c->id;
		s->memory_bytes = cgroup_number(c->cgroup, "memory.current");
		s->memory_max_bytes = cgroup_number(c->cgroup, "memory.max");
		slots[r->n_containers++] = s;
	}
}

void stats_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Guest__V1__StatsResponse r = QEMUBOX__GUEST__V1__STATS_RESPONSE__INIT;
	Qemubox__Guest__V1__ContainerStats list[CONTAINERS_MAX], *slots[CONTAINERS_MAX];
	const Qemubox__Guest__V1__StatsRequest *asked =
		(const Qemubox__Guest__V1__StatsRequest *)request;
	struct qbx_err err = { 0 };

	if (read_guest(&r, &err) < 0) {
		ttrpc_fail_err(call, &err);
		return;
	}
	brake_set(arg, asked->memory_grows, r.memory_total_kib);
	read_containers(arg, &r, list, slots);
	r.time_ns = clock_now_ns();
	ttrpc_reply(call, &r.base);
}
