/* SPDX-License-Identifier: Apache-2.0 */
/* disks.c - disks that are volumes of a container */
#include "disks.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "guest.h"
#include "oci.h"
#include "rootfs.h"
#include "volumes.h"

/* The device that an entry's source names. Return: 1 with @path and @rdev, 0 if it names none, or -1. */
static int find(const json_t *entry, char path[DISK_PATH_MAX], dev_t *rdev, struct qbx_err *err)
{
	const char *source = json_string_value(json_object_get(entry, "source"));
	struct stat st;

	if (!source || !volume_is_disk(source))
		return 0;
	if (disk_find(source + strlen(GUEST_DISK_PREFIX), path, err) < 0)
		return -1;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "look at %s", path);
	*rdev = st.st_rdev;
	return 1;
}

/* The host's rule for it was for the host's number. */
static int allow(json_t *spec, dev_t rdev, struct qbx_err *err)
{
	json_t *linux_, *resources, *rules, *rule;

	if (oci_object(spec, "linux", &linux_, err) < 0 ||
	    oci_object(linux_, "resources", &resources, err) < 0 ||
	    oci_member(resources, "devices", JSON_ARRAY, &rules, err) < 0)
		return -1;
	if (!rules) {
		rules = json_array();
		if (json_object_set_new(resources, "devices", rules) < 0)
			return oci_no_memory(err);
	}
	rule = json_pack("{s:b, s:s, s:i, s:i, s:s}", "allow", 1, "type", "b", "major",
			 (int)major(rdev), "minor", (int)minor(rdev), "access", "rwm");
	return json_array_append_new(rules, rule) < 0 ? oci_no_memory(err) : 0;
}

static int place_mount(json_t *spec, json_t *mount, struct qbx_err *err)
{
	char path[DISK_PATH_MAX] = "";
	dev_t rdev = 0;
	int r = find(mount, path, &rdev, err);

	if (r <= 0)
		return r;
	if (json_object_set_new(mount, "source", json_string(path)) < 0)
		return oci_no_memory(err);
	return allow(spec, rdev, err);
}

static int place_device(json_t *spec, json_t *device, struct qbx_err *err)
{
	char path[DISK_PATH_MAX] = "";
	dev_t rdev = 0;
	int r = find(device, path, &rdev, err);

	if (r <= 0)
		return r;
	json_object_del(device, "source");
	if (json_object_set_new(device, "type", json_string("b")) < 0 ||
	    json_object_set_new(device, "major", json_integer(major(rdev))) < 0 ||
	    json_object_set_new(device, "minor", json_integer(minor(rdev))) < 0)
		return oci_no_memory(err);
	return allow(spec, rdev, err);
}

int disks_place(json_t *spec, struct qbx_err *err)
{
	json_t *devices = json_object_get(json_object_get(spec, "linux"), "devices"), *entry;
	json_t *mounts = json_object_get(spec, "mounts");
	size_t i;

	json_array_foreach (mounts, i, entry)
		if (place_mount(spec, entry, err) < 0)
			return -1;
	json_array_foreach (devices, i, entry)
		if (place_device(spec, entry, err) < 0)
			return -1;
	return 0;
}
