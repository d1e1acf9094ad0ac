/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resources.c - linux.resources and linux.devices, made fit for a guest
 *
 * Processors, memory nodes, disks and huge pages of the host are not here. What limits their use is
 * dropped, with a line: which of them the VM has is the host's to say, and the container may use all
 * that the VM has. crun refuses by itself what version 2 of cgroups does not have.
 */
#include "resources.h"

#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "oci.h"
#include "volumes.h"

#define OWN_NUMBERS "numbers of its own"

static void drop_all(json_t *o, const char *const *keys, const char *why)
{
	for (; *keys; keys++)
		oci_drop(o, *keys, why);
}

static int check_types(json_t *resources, struct qbx_err *err)
{
	static const char *const objects[] = { "memory", "cpu", "pids", "blockIO", "unified" };
	json_t *object;

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		if (oci_member(resources, objects[i], JSON_OBJECT, &object, err) < 0)
			return -1;
	return oci_member(resources, "devices", JSON_ARRAY, &object, err);
}

int resources_adapt(json_t *resources, struct qbx_err *err)
{
	static const char *const known[] = { "devices", "memory",  "cpu",
					     "pids",	"blockIO", "hugepageLimits",
					     "network", "rdma",	   "unified",
					     NULL };
	static const char *const cpu[] = { "cpus", "mems", NULL };
	static const char *const disks[] = {
		"weightDevice",		  "throttleReadBpsDevice",   "throttleWriteBpsDevice",
		"throttleReadIOPSDevice", "throttleWriteIOPSDevice", NULL
	};
	static const char *const unified[] = { "cpuset.cpus", "cpuset.mems", "io.max",
					       "io.latency",  "io.cost.qos", "io.cost.model",
					       NULL };

	if (!resources)
		return 0;
	if (check_types(resources, err) < 0)
		return -1;
	oci_drop_unknown(resources, known);
	drop_all(json_object_get(resources, "cpu"), cpu, OWN_NUMBERS);
	drop_all(json_object_get(resources, "blockIO"), disks, OWN_NUMBERS);
	drop_all(json_object_get(resources, "unified"), unified, OWN_NUMBERS);
	oci_drop(resources, "hugepageLimits", "no huge pages");
	oci_drop(resources, "network", "a network of its own");
	oci_drop(resources, "rdma", "no such devices");
	return 0;
}

/* ---- devices ---- */

/* Character devices of every Linux, that guest/kernel.config has: admin-guide/devices.txt. */
static const struct {
	int major, minor;
} guests[] = {
	{ 1, 3 },    /* null */
	{ 1, 5 },    /* zero */
	{ 1, 7 },    /* full */
	{ 1, 8 },    /* random */
	{ 1, 9 },    /* urandom */
	{ 5, 0 },    /* tty */
	{ 5, 1 },    /* console, where a terminal is put */
	{ 5, 2 },    /* ptmx */
	{ 10, 229 }, /* fuse */
};

#define PTS_MAJOR 136 /* to 143, all of them */

/* What an entry of either list names. Numbers that are absent, or -1 in a rule, are any: -1. */
struct device {
	const char *type;
	json_int_t major, minor;
};

/* Does the guest have it, or one of them? A FIFO needs no driver. */
static bool is_guests(const struct device *d)
{
	if (strcmp(d->type, "c") && strcmp(d->type, "u"))
		return !strcmp(d->type, "p");
	if (d->major < 0 || (d->major >= PTS_MAJOR && d->major < PTS_MAJOR + 8))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++)
		if (guests[i].major == d->major && (d->minor < 0 || guests[i].minor == d->minor))
			return true;
	return false;
}

static int parse_device(json_t *entry, struct device *d, struct qbx_err *err)
{
	json_t *major, *minor;

	*d = (struct device){ "", -1, -1 };
	if (!json_is_object(entry))
		return oci_refuse(err, "a device", "has the wrong type");
	if (oci_string(entry, "type", &d->type, err) < 0 ||
	    oci_member(entry, "major", JSON_INTEGER, &major, err) < 0 ||
	    oci_member(entry, "minor", JSON_INTEGER, &minor, err) < 0)
		return -1;
	d->major = major ? json_integer_value(major) : -1;
	d->minor = minor ? json_integer_value(minor) : -1;
	return 0;
}

static bool is_any(const struct device *d)
{
	return d->major < 0 && d->minor < 0;
}

/* Rules: to deny does no harm. One that names a disk would mean one of the guest's. */
static int adapt_rules(json_t *rules, bool *all, struct qbx_err *err)
{
	*all = false;
	for (size_t i = 0; i < json_array_size(rules);) {
		json_t *rule = json_array_get(rules, i);
		bool allow = json_is_true(json_object_get(rule, "allow"));
		struct device d;

		if (parse_device(rule, &d, err) < 0)
			return -1;
		if (is_any(&d) && (!d.type[0] || !strcmp(d.type, "a")))
			*all = allow;
		if (!allow || is_any(&d) || is_guests(&d)) {
			i++;
			continue;
		}
		log_info("device %.1s %lld:%lld is not allowed: the guest has " OWN_NUMBERS, d.type,
			 (long long)d.major, (long long)d.minor);
		json_array_remove(rules, i);
	}
	return 0;
}

static int adapt_nodes(json_t *nodes, bool all, struct qbx_err *err)
{
	unsigned dropped = 0;

	for (size_t i = 0; i < json_array_size(nodes);) {
		json_t *node = json_array_get(nodes, i);
		const char *path = "", *source = "";
		struct device d;

		if (parse_device(node, &d, err) < 0 || oci_string(node, "path", &path, err) < 0 ||
		    oci_string(node, "source", &source, err) < 0)
			return -1;
		if (is_guests(&d) || volume_is_disk(source)) { /* the latter disks.c finds */
			i++;
		} else if (all) {
			json_array_remove(nodes, i);
			dropped++;
		} else {
			err_code(err, EX_DATAERR,
				 "OCI spec: device %.200s (%.1s %lld:%lld) is the "
				 "host's",
				 path, d.type, (long long)d.major, (long long)d.minor);
			return err_hint(err, "a box has no devices of the host");
		}
	}
	if (dropped > 0)
		log_info("%u devices are dropped: they are the host's", dropped);
	return 0;
}

int devices_adapt(json_t *linux_, struct qbx_err *err)
{
	json_t *rules = json_object_get(json_object_get(linux_, "resources"), "devices");
	json_t *nodes;
	bool all;

	if (oci_member(linux_, "devices", JSON_ARRAY, &nodes, err) < 0 ||
	    adapt_rules(rules, &all, err) < 0)
		return -1;
	return adapt_nodes(nodes, all, err);
}
