/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.c - the host's config.json, made fit for a guest
 *
 * The rule: what a path or a label of the host stands for does not exist here. Where the VM itself
 * is the better answer (network namespace, root), it takes its place; where leaving it out only
 * removes a second lock (AppArmor, SELinux), or a limit on what the VM does not have, that is logged;
 * all else is refused, by name.
 */
#include "spec.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "json.h"
#include "oci.h"
#include "resources.h"
#include "volumes.h"

static int adapt_root(struct spec *s, struct qbx_err *err)
{
	json_t *root;

	if (oci_object(s->json, "root", &root, err) < 0)
		return -1;
	if (json_object_set_new(root, "path", json_string(s->rootfs)) < 0)
		return oci_no_memory(err);
	return 0;
}

static void drop_label(json_t *o, const char *key)
{
	oci_drop(o, key, "no such policy");
}

/* What the request says is what there is; a size is for a terminal. */
static int adapt_terminal(json_t *process, bool terminal, struct qbx_err *err)
{
	static const char *const sides[] = { "width", "height" };
	json_t *size, *side;

	if (json_object_set_new(process, "terminal", json_boolean(terminal)) < 0)
		return oci_no_memory(err);
	if (!terminal)
		json_object_del(process, "consoleSize");
	if (oci_member(process, "consoleSize", JSON_OBJECT, &size, err) < 0)
		return -1;
	for (size_t i = 0; size && i < ARRAY_SIZE(sides); i++) {
		if (oci_member(size, sides[i], JSON_INTEGER, &side, err) < 0)
			return -1;
		if (side && (json_integer_value(side) < 0 || json_integer_value(side) > UINT16_MAX))
			return oci_refuse(err, "process.consoleSize", "is not one of a terminal");
	}
	return 0;
}

static int check_process(json_t *process, bool terminal, struct qbx_err *err)
{
	static const char *const known[] = {
		"terminal",
		"consoleSize",
		"user",
		"args",
		"env",
		"cwd",
		"capabilities",
		"rlimits",
		"noNewPrivileges",
		"oomScoreAdj",
		"scheduler",
		"ioPriority",
		"apparmorProfile",
		"selinuxLabel",
		"execCPUAffinity",
		NULL,
	};
	json_t *args, *score;

	if (oci_member(process, "args", JSON_ARRAY, &args, err) < 0)
		return -1;
	if (json_array_size(args) == 0 || !json_is_string(json_array_get(args, 0)))
		return oci_refuse(err, "process.args", "names no program");
	if (adapt_terminal(process, terminal, err) < 0 ||
	    oci_member(process, "oomScoreAdj", JSON_INTEGER, &score, err) < 0)
		return -1;
	if (score && (json_integer_value(score) < -1000 || json_integer_value(score) > 1000))
		return oci_refuse(err, "process.oomScoreAdj", "is not between -1000 and 1000");
	oci_drop_unknown(process, known);
	drop_label(process, "apparmorProfile");
	drop_label(process, "selinuxLabel");
	oci_drop(process, "execCPUAffinity", "processors of its own");
	return 0;
}

static int adapt_process(struct spec *s, struct qbx_err *err)
{
	json_t *process;

	if (oci_member(s->json, "process", JSON_OBJECT, &process, err) < 0)
		return -1;
	if (!process)
		return oci_refuse(err, "process", "is missing");
	return check_process(process, s->terminal, err);
}

json_t *spec_process(const char *text, size_t len, bool terminal, struct qbx_err *err)
{
	json_t *process = json_parse(text, len, "OCI process", err);

	if (process && check_process(process, terminal, err) < 0) {
		json_decref(process);
		return NULL;
	}
	oci_drop(process, "ioPriority", "no way to set it for an exec");
	return process;
}

/* Hooks that run in the container are left; in the guest there are no programs but the container's. */
static int take_hooks(json_t *list, json_t *all, const char *kind, struct qbx_err *err)
{
	json_t *hook;
	size_t i;

	json_array_foreach (list, i, hook) {
		const char *path;

		if (!json_is_object(hook) || oci_string(hook, "path", &path, err) < 0 ||
		    path[0] != '/')
			return err_code(err, EX_DATAERR, "OCI spec: hooks.%.32s is not one", kind);
		if (json_array_append(all, hook) < 0)
			return oci_no_memory(err);
	}
	return 0;
}

/*
 * createContainer runs before the container has its root, with programs of the runtime's: here, that
 * would be with none. So both kinds run when it has, in their order.
 */
static int adapt_hooks(struct spec *s, struct qbx_err *err)
{
	static const char *const inner[] = { "createContainer", "startContainer" };
	json_auto_t *all = json_array();
	json_t *hooks, *list;
	const char *kind;

	if (oci_member(s->json, "hooks", JSON_OBJECT, &hooks, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(inner); i++) {
		if (oci_member(hooks, inner[i], JSON_ARRAY, &list, err) < 0 ||
		    take_hooks(list, all, inner[i], err) < 0)
			return -1;
		json_object_del(hooks, inner[i]);
	}
	json_object_foreach (hooks, kind, list)
		if (!json_is_null(list) && json_array_size(list) > 0) {
			err_code(err, EX_DATAERR,
				 "OCI spec: hooks.%.32s names programs of the host", kind);
			return err_hint(err, "the host has to run these itself");
		}
	json_object_del(s->json, "hooks");
	if (json_array_size(all) > 0 &&
	    json_object_set_new(s->json, "hooks", json_pack("{s:O}", inner[1], all)) < 0)
		return oci_no_memory(err);
	return 0;
}

/* Is this mount's source a path of the host? File systems without a device are all made here. */
static bool needs_host(const char *type, json_t *options)
{
	static const char *const own[] = { "proc",   "sysfs",  "tmpfs",	 "devpts",
					   "mqueue", "cgroup", "cgroup2" };
	json_t *option;
	size_t i;

	json_array_foreach (options, i, option) {
		const char *text = json_string_value(option);

		if (text && (!strcmp(text, "bind") || !strcmp(text, "rbind")))
			return true;
	}
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(type, own[i]))
			return false;
	return true;
}

/* What the host has brought into the bundle; crun is told where that is. */
static int place_volume(const struct spec *s, json_t *mount, const char *source,
			struct qbx_err *err)
{
	json_t *path = json_sprintf("%s/%s", s->bundle, source);

	return json_object_set_new(mount, "source", path) < 0 ? oci_no_memory(err) : 0;
}

static int check_mount(const struct spec *s, json_t *mount, struct qbx_err *err)
{
	const char *destination, *type, *source;
	json_t *options;

	if (!json_is_object(mount))
		return oci_refuse(err, "mounts", "has the wrong type");
	if (oci_string(mount, "destination", &destination, err) < 0 ||
	    oci_string(mount, "type", &type, err) < 0 ||
	    oci_string(mount, "source", &source, err) < 0 ||
	    oci_member(mount, "options", JSON_ARRAY, &options, err) < 0)
		return -1;
	if (destination[0] != '/')
		return err_code(err, EX_DATAERR,
				"OCI spec: mount on \"%.200s\": not an absolute path", destination);
	if (!needs_host(type, options))
		return 0;
	if (volume_is_disk(source)) /* disks.c finds it */
		return 0;
	if (volume_is_path(source))
		return place_volume(s, mount, source, err);
	err_code(err, EX_DATAERR, "OCI spec: mount on %.200s: %.32s of %.200s of the host",
		 destination, type[0] ? type : "a bind", source[0] ? source : "nothing");
	return err_hint(err, "qbx-fs prepare makes a volume of a bind mount, and of nothing else");
}

static int adapt_mounts(struct spec *s, struct qbx_err *err)
{
	json_t *mounts, *mount;
	size_t i;

	if (oci_member(s->json, "mounts", JSON_ARRAY, &mounts, err) < 0)
		return -1;
	json_array_foreach (mounts, i, mount)
		if (check_mount(s, mount, err) < 0)
			return -1;
	return 0;
}

/* One namespace entry. Return: 1 to keep it, 0 to drop it, -1 with @err. */
static int check_namespace(json_t *ns, const char **type, struct qbx_err *err)
{
	const char *path;

	if (!json_is_object(ns))
		return oci_refuse(err, "linux.namespaces", "has the wrong type");
	if (oci_string(ns, "type", type, err) < 0 || oci_string(ns, "path", &path, err) < 0)
		return -1;
	if (!strcmp(*type, "network"))
		return 0;
	if (path[0])
		return err_code(
			err, EX_DATAERR,
			"OCI spec: %.32s namespace %.200s is the host's: a VM cannot join it",
			*type, path);
	return 1;
}

static int adapt_namespaces(json_t *linux_, bool *own_network, struct qbx_err *err)
{
	bool mount = false, cgroup = false;
	json_t *list;

	*own_network = false;
	if (oci_member(linux_, "namespaces", JSON_ARRAY, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list);) {
		const char *type = "";
		int keep = check_namespace(json_array_get(list, i), &type, err);

		if (keep < 0)
			return -1;
		mount |= !strcmp(type, "mount");
		cgroup |= !strcmp(type, "cgroup");
		*own_network |= !strcmp(type, "network");
		if (keep)
			i++;
		else
			json_array_remove(list, i);
	}
	if (!mount)
		return oci_refuse(err, "linux.namespaces",
				  "has no mount namespace: it would be init's");
	if (!cgroup && json_array_append_new(list, json_pack("{s:s}", "type", "cgroup")) < 0)
		return oci_no_memory(err);
	return 0;
}

/*
 * The network namespace is the VM's, so its parameters are the guest's to set: crun would refuse
 * them without a namespace of their own.
 */
static int take_net_sysctls(struct spec *s, json_t *linux_, struct qbx_err *err)
{
	json_t *sysctl, *value;
	const char *key;
	void *next;

	s->sysctls = json_object();
	if (!s->sysctls)
		return oci_no_memory(err);
	if (oci_member(linux_, "sysctl", JSON_OBJECT, &sysctl, err) < 0)
		return -1;
	json_object_foreach_safe(sysctl, next, key, value)
	{
		if (strncmp(key, "net.", 4) && strncmp(key, "net/", 4))
			continue;
		if (!json_is_string(value) || strstr(key, "..") || strlen(key) > 128 ||
		    strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789._-/") != strlen(key))
			return err_code(err, EX_DATAERR, "OCI spec: linux.sysctl %.100s is not one",
					key);
		if (json_object_set(s->sysctls, key, value) < 0)
			return oci_no_memory(err);
		json_object_del(sysctl, key);
	}
	return 0;
}

/* "slice:prefix:name", as systemd has it, names the same place in plain cgroupfs. */
static int from_systemd(const char *path, char out[SPEC_CGROUP_MAX])
{
	const char *prefix = strchr(path, ':');
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!name || strchr(name + 1, ':'))
		return -1;
	return snprintf(out, SPEC_CGROUP_MAX, "/%.*s/%.*s-%s", (int)(prefix - path), path,
			(int)(name - prefix - 1), prefix + 1, name + 1);
}

static bool is_cgroup_path(const char *path)
{
	if (path[0] != '/' || !path[1])
		return false;
	for (path++;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || len > 255 || path[0] == '.')
			return false;
		for (size_t i = 0; i < len; i++)
			if (iscntrl((unsigned char)path[i]))
				return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

static int adapt_cgroup(struct spec *s, json_t *linux_, struct qbx_err *err)
{
	const char *path;
	int n;

	if (oci_string(linux_, "cgroupsPath", &path, err) < 0)
		return -1;
	if (!path[0])
		n = snprintf(s->cgroup, sizeof(s->cgroup), "/%s", s->id);
	else if (strchr(path, ':') && !strchr(path, '/'))
		n = from_systemd(path, s->cgroup);
	else
		n = snprintf(s->cgroup, sizeof(s->cgroup), "%s%s", path[0] == '/' ? "" : "/", path);
	if (n < 0 || n >= (int)sizeof(s->cgroup) || !is_cgroup_path(s->cgroup))
		return err_code(err, EX_DATAERR,
				"OCI spec: linux.cgroupsPath \"%.200s\" is not one", path);
	if (json_object_set_new(linux_, "cgroupsPath", json_string(s->cgroup)) < 0)
		return err_code(err, EX_DATAERR, "OCI spec: linux.cgroupsPath is not text");
	return 0;
}

static int adapt_linux(struct spec *s, struct qbx_err *err)
{
	static const char *const known[] = {
		"namespaces",	"uidMappings",	 "gidMappings", "timeOffsets",
		"devices",	"cgroupsPath",	 "resources",	"intelRdt",
		"memoryPolicy", "sysctl",	 "seccomp",	"rootfsPropagation",
		"maskedPaths",	"readonlyPaths", "mountLabel",	"personality",
		NULL,
	};
	json_t *linux_, *seccomp, *resources, *devices;
	const char *listener;
	bool own_network;

	if (oci_object(s->json, "linux", &linux_, err) < 0 ||
	    adapt_namespaces(linux_, &own_network, err) < 0 || adapt_cgroup(s, linux_, err) < 0 ||
	    take_net_sysctls(s, linux_, err) < 0)
		return -1;
	if (!own_network) {
		oci_refuse(err, "linux.namespaces", "has no network namespace: the host's network");
		return err_hint(err,
				"a VM cannot have the host's network: leave the host network out");
	}
	if (oci_member(linux_, "seccomp", JSON_OBJECT, &seccomp, err) < 0 ||
	    oci_member(linux_, "resources", JSON_OBJECT, &resources, err) < 0 ||
	    resources_adapt(resources, err) < 0 || devices_adapt(linux_, err) < 0)
		return -1;
	if (seccomp && oci_string(seccomp, "listenerPath", &listener, err) < 0)
		return -1;
	if (seccomp && listener[0])
		return oci_refuse(err, "linux.seccomp.listenerPath", "is a socket of the host");
	if (oci_member(linux_, "netDevices", JSON_OBJECT, &devices, err) < 0)
		return -1;
	if (json_object_size(devices) > 0)
		return oci_refuse(err, "linux.netDevices", "names devices of the host");
	oci_drop_unknown(linux_, known);
	drop_label(linux_, "mountLabel");
	oci_drop(linux_, "intelRdt", "no cache of its own to share out");
	oci_drop(linux_, "memoryPolicy", "memory nodes of its own");
	return 0;
}

int spec_adapt(struct spec *s, const char *text, size_t len, struct qbx_err *err)
{
	static const char *const known[] = { "ociVersion",  "root",   "process", "hostname",
					     "domainname",  "mounts", "hooks",	 "linux",
					     "annotations", NULL };

	s->json = json_parse(text, len, "OCI spec", err);
	if (!s->json || adapt_root(s, err) < 0 || adapt_process(s, err) < 0 ||
	    adapt_hooks(s, err) < 0 || adapt_mounts(s, err) < 0 || adapt_linux(s, err) < 0)
		return -1;
	oci_drop_unknown(s->json, known);
	/* For tools on the host; some would steer crun. */
	json_object_del(s->json, "annotations");
	return 0;
}

json_t *spec_adapt_update(const char *text, size_t len, struct qbx_err *err)
{
	json_t *resources = json_parse(text, len, "resources", err);

	if (resources && resources_adapt(resources, err) < 0) {
		json_decref(resources);
		return NULL;
	}
	/* Which devices there are is settled at Create, as other runtimes have it. */
	json_object_del(resources, "devices");
	return resources;
}

void spec_free(struct spec *s)
{
	json_decref(s->json);
	json_decref(s->sysctls);
	s->json = s->sysctls = NULL;
}
