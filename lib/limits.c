/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - what a VM's size follows from: the OCI specification, the configuration, the host */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cpulist.h"
#include "io.h"
#include "size.h"

#define CPUS_MAX 8192u /* the most that Linux knows */
#define MEMINFO_MAX (64u << 10)

/* Bounds that the kernel has for cpu.max, in microseconds. */
#define QUOTA_MIN_US 1000
#define PERIOD_MIN_US 1000
#define PERIOD_MAX_US 1000000
#define PERIOD_DEFAULT_US 100000

#define OURS "io.qemubox."
#define CRI "io.kubernetes.cri.sandbox-"

/* ---- linux.resources ---- */

/* A whole number, absent or null for 0; below 0 is "no limit" to the OCI, and to us. */
static int take_whole(const json_t *object, const char *key, const char *path, uint64_t *to,
		      struct qbx_err *err)
{
	const json_t *value = json_object_get(object, key);

	*to = 0;
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return err_code(err, EX_DATAERR, "%s.%s must be a whole number", path, key);
	if (json_integer_value(value) > 0)
		*to = (uint64_t)json_integer_value(value);
	return 0;
}

static int take_cpuset(const json_t *cpu, unsigned *count, struct qbx_err *err)
{
	const json_t *value = json_object_get(cpu, "cpus");
	const char *list = json_string_value(value);
	uint64_t set[CPUS_MAX / 64];
	char shown[80];
	int n;

	if (!value || json_is_null(value))
		return 0;
	if (!list)
		return err_code(err, EX_DATAERR, "linux.resources.cpu.cpus must be a string");
	n = cpulist_parse(list, set, CPUS_MAX);
	if (n >= 0) {
		*count = (unsigned)n;
		return 0;
	}
	snprintf(shown, sizeof(shown), "%s", list);
	return err_code(err, EX_DATAERR,
			"linux.resources.cpu.cpus: \"%s\" is no list of processors like \"0-3,8\"",
			err_clean(shown));
}

static int take_resources(struct limits *l, const json_t *resources, struct qbx_err *err)
{
	const json_t *memory = json_object_get(resources, "memory");
	const json_t *cpu = json_object_get(resources, "cpu");

	return take_whole(memory, "limit", "linux.resources.memory", &l->memory_bytes, err) < 0 ||
			       take_whole(cpu, "quota", "linux.resources.cpu", &l->cpu_quota_us,
					  err) < 0 ||
			       take_whole(cpu, "period", "linux.resources.cpu", &l->cpu_period_us,
					  err) < 0 ||
			       take_cpuset(cpu, &l->cpuset, err) < 0
		       ? -1
		       : 0;
}

/* ---- annotations ---- */

/* Their values are text: digits, and a sign where that means "no limit". */
static int to_number(const char *name, const json_t *value, bool may_be_negative, uint64_t max,
		     uint64_t *to, struct qbx_err *err)
{
	const char *text = json_string_value(value), *digits = text ? text : "", *end;
	bool negative = digits[0] == '-' && may_be_negative;
	char shown[40];

	*to = 0;
	digits += negative;
	for (end = digits; isdigit((unsigned char)*end) && end - digits < 19; end++)
		*to = *to * 10 + (uint64_t)(*end - '0');
	if (end == digits || *end || *to > max) {
		snprintf(shown, sizeof(shown), "%s", text ? text : "what is no string");
		return err_code(err, EX_DATAERR,
				"annotation %s: \"%s\" is no whole number of at most %llu", name,
				err_clean(shown), (unsigned long long)max);
	}
	if (negative)
		*to = 0;
	return 0;
}

/* containerd's CRI says what all containers of the sandbox come to; 0 where it does not know. */
static int take_sandbox(struct limits *l, const json_t *annotations, struct qbx_err *err)
{
	uint64_t shares = 0;
	const struct {
		const char *name;
		uint64_t *to;
	} known[] = {
		{ CRI "memory", &l->memory_bytes },
		{ CRI "cpu-quota", &l->cpu_quota_us },
		{ CRI "cpu-period", &l->cpu_period_us },
		{ CRI "cpu-shares", &shares },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const json_t *value = json_object_get(annotations, known[i].name);
		uint64_t n;

		if (!value)
			continue;
		if (to_number(known[i].name, value, true, INT64_MAX, &n, err) < 0)
			return -1;
		if (n > 0)
			*known[i].to = n;
	}
	/* cgroup v1 has them between 2 and 2^18 */
	l->cpu_shares = shares > 1u << 18 ? 1u << 18 : (unsigned)shares;
	return 0;
}

/* Those of ours that a container may carry: sizes and the machine, never a path. */
static int take_ours(struct limits *l, const char *name, const json_t *value, struct qbx_err *err)
{
	const struct {
		const char *name;
		unsigned *to, max;
	} known[] = {
		{ OURS "vcpus", &l->vcpus, SIZE_VCPUS_MAX },
		{ OURS "vcpus-max", &l->vcpus_max, SIZE_VCPUS_MAX },
		{ OURS "memory-mib", &l->memory_mib, 1u << 20 },
	};

	/* Of whoever made the document. */
	if (!strcmp(name, OURS "net") || !strcmp(name, OURS "fs.writable") ||
	    !strcmp(name, OURS "fs.writable-mib") || !strcmp(name, OURS "fs.commit"))
		return 0;
	if (!strcmp(name, OURS "machine")) {
		if (!json_is_string(value))
			return err_code(err, EX_DATAERR, "annotation %s must be a string", name);
		return machine_choose(json_string_value(value), &l->machine, err) < 0
			       ? err_wrap(err, "annotation " OURS "machine")
			       : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		uint64_t n;

		if (strcmp(name, known[i].name) != 0)
			continue;
		if (to_number(name, value, false, known[i].max, &n, err) < 0)
			return -1;
		if (n == 0)
			return err_code(err, EX_DATAERR, "annotation %s: 0 is not enough", name);
		*known[i].to = (unsigned)n;
		return 0;
	}
	err_code(err, EX_DATAERR, "annotation %.100s is none of ours", name);
	return err_hint(err, OURS "vcpus, vcpus-max, memory-mib, machine, net, fs.writable, "
			     "fs.writable-mib and fs.commit are");
}

/* ---- the whole ---- */

static int check_cpu(struct limits *l, struct qbx_err *err)
{
	if (l->cpu_quota_us == 0) {
		l->cpu_period_us = 0;
		return 0;
	}
	if (l->cpu_period_us == 0)
		l->cpu_period_us = PERIOD_DEFAULT_US;
	if (l->cpu_quota_us < QUOTA_MIN_US)
		return err_code(err, EX_DATAERR, "CPU quota: %llu us is less than %d",
				(unsigned long long)l->cpu_quota_us, QUOTA_MIN_US);
	if (l->cpu_period_us < PERIOD_MIN_US || l->cpu_period_us > PERIOD_MAX_US)
		return err_code(err, EX_DATAERR, "CPU period: %llu us is not between %d and %d",
				(unsigned long long)l->cpu_period_us, PERIOD_MIN_US, PERIOD_MAX_US);
	return 0;
}

int limits_read(struct limits *l, const json_t *spec, struct qbx_err *err)
{
	json_t *annotations = json_object_get(spec, "annotations"), *value;
	const char *name;

	if (take_resources(l, json_object_get(json_object_get(spec, "linux"), "resources"), err) <
		    0 ||
	    take_sandbox(l, annotations, err) < 0)
		return -1;
	json_object_foreach (annotations, name, value)
		if (!strncmp(name, OURS, sizeof(OURS) - 1) && take_ours(l, name, value, err) < 0)
			return -1;
	return check_cpu(l, err);
}

uint64_t limits_meminfo(const char *meminfo, const char *key)
{
	for (const char *line = meminfo; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, strlen(key)))
			return strtoull(line + strlen(key), NULL, 10) / 1024;
	}
	return 0;
}

static int read_host(struct limits *l, struct qbx_err *err)
{
	_cleanup_free_ char *meminfo = NULL;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t len;

	if (io_read_file(AT_FDCWD, "/proc/meminfo", MEMINFO_MAX, &meminfo, &len, err) < 0)
		return -1;
	l->host.cpus = cpus > 0 ? (unsigned)cpus : 1;
	l->host.memory_mib = limits_meminfo(meminfo, "MemTotal:");
	l->host.available_mib = limits_meminfo(meminfo, "MemAvailable:");
	return l->host.memory_mib ? 0 : err_code(err, EX_UNAVAILABLE, "/proc/meminfo: no MemTotal");
}

int limits_make(struct limits *l, const struct config *cfg, const struct box *box,
		struct qbx_err *err)
{
	const char *machine = json_string_value(json_object_get(box->doc, "machine"));
	json_auto_t *spec = box_spec(box, err);

	memset(l, 0, sizeof(*l));
	l->config.vcpus_max = cfg->vcpus_max;
	l->config.memory_mib = cfg->memory_mib;
	l->config.memory_max_mib = cfg->memory_max_mib;
	if ((!spec && err->code) || machine_choose(cfg->machine, &l->machine, err) < 0 ||
	    limits_read(l, spec, err) < 0 ||
	    (machine && machine_choose(machine, &l->machine, err) < 0))
		return -1;
	return read_host(l, err);
}
