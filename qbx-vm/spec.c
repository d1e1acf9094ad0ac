/* SPDX-License-Identifier: Apache-2.0 */
/* spec.c - the OCI specification of a box's container */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "vm.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * What people expect of a container: containerd's default, and the cgroups to look at. The guest
 * takes the VM itself for the network namespace. Source of the keys: the OCI runtime
 * specification 1.1.
 */
static const char default_spec[] =
	"{'ociVersion':'1.1.0',"
	" 'root':{'path':'rootfs'},"
	" 'process':{'cwd':'/', 'user':{'uid':0,'gid':0}, 'noNewPrivileges':true,"
	"  'rlimits':[{'type':'RLIMIT_NOFILE','hard':1048576,'soft':1024}]},"
	" 'mounts':["
	"  {'destination':'/proc','type':'proc','source':'proc',"
	"   'options':['nosuid','noexec','nodev']},"
	"  {'destination':'/dev','type':'tmpfs','source':'tmpfs',"
	"   'options':['nosuid','strictatime','mode=755','size=65536k']},"
	"  {'destination':'/dev/pts','type':'devpts','source':'devpts',"
	"   'options':['nosuid','noexec','newinstance','ptmxmode=0666','mode=0620','gid=5']},"
	"  {'destination':'/dev/shm','type':'tmpfs','source':'shm',"
	"   'options':['nosuid','noexec','nodev','mode=1777','size=65536k']},"
	"  {'destination':'/dev/mqueue','type':'mqueue','source':'mqueue',"
	"   'options':['nosuid','noexec','nodev']},"
	"  {'destination':'/sys','type':'sysfs','source':'sysfs',"
	"   'options':['nosuid','noexec','nodev','ro']},"
	"  {'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup',"
	"   'options':['nosuid','noexec','nodev','relatime','ro']},"
	"  {'destination':'/run','type':'tmpfs','source':'tmpfs',"
	"   'options':['nosuid','strictatime','mode=755','size=65536k']}],"
	" 'linux':{'resources':{'devices':[{'allow':false,'access':'rwm'}]},"
	"  'namespaces':[{'type':'pid'},{'type':'ipc'},{'type':'uts'},{'type':'mount'},"
	"   {'type':'cgroup'},{'type':'network'}],"
	"  'maskedPaths':['/proc/acpi','/proc/asound','/proc/kcore','/proc/keys',"
	"   '/proc/latency_stats','/proc/timer_list','/proc/timer_stats','/proc/sched_debug',"
	"   '/sys/firmware','/sys/devices/virtual/powercap','/proc/scsi'],"
	"  'readonlyPaths':['/proc/bus','/proc/fs','/proc/irq','/proc/sys',"
	"   '/proc/sysrq-trigger']}}";

static const char *const default_capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",	   "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",	   "CAP_SETGID",	   "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",	   "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};

static json_t *capability_sets(void)
{
	static const char *const sets[] = { "bounding", "effective", "permitted" };
	json_t *all = json_object(), *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(default_capabilities); i++)
		json_array_append_new(list, json_string(default_capabilities[i]));
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		json_object_set(all, sets[i], list);
	json_decref(list);
	return all;
}

/* Its text has single quotes, for the sake of readers; no string in it holds one. */
static json_t *parse_default(struct qbx_err *err)
{
	char text[sizeof(default_spec)];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = default_spec[i] == '\'' ? '"' : default_spec[i];
	return json_parse(text, sizeof(text) - 1, "default specification", err);
}

static bool has_path(const json_t *env)
{
	const json_t *item;
	size_t i;

	json_array_foreach (env, i, item)
		if (json_is_string(item) && !strncmp(json_string_value(item), "PATH=", 5))
			return true;
	return false;
}

static json_t *make_default(const struct box *box, struct qbx_err *err)
{
	json_t *spec = parse_default(err), *process, *env;
	const json_t *image = json_object_get(json_object_get(box->doc, "fs"), "process");

	if (!spec)
		return NULL;
	process = json_object_get(spec, "process");
	json_object_update(process, (json_t *)image);
	json_object_set_new(process, "capabilities", capability_sets());
	env = json_object_get(process, "env");
	env = env ? json_copy(env) : json_array();
	if (!has_path(env))
		json_array_insert_new(env, 0, json_string(DEFAULT_PATH));
	json_object_set_new(process, "env", env);
	json_object_set_new(spec, "hostname", json_string(box->id));
	return spec;
}

static int set_args(json_t *spec, char *const *args, int nargs, struct qbx_err *err)
{
	json_t *process = json_object_get(spec, "process"), *list, *first;

	if (nargs > 0) {
		list = json_array();
		for (int i = 0; i < nargs; i++) {
			if (json_array_append_new(list, json_string(args[i])) == 0)
				continue;
			json_decref(list);
			return err_code(err, EX_USAGE, "argument %d is not UTF-8", i + 1);
		}
		json_object_set_new(process, "args", list);
	}
	list = json_object_get(process, "args");
	first = json_array_get(list, 0);
	if (json_is_string(first) && json_string_length(first) > 0)
		return 0;
	err_code(err, EX_USAGE, "no command to run: neither the image nor the document has one");
	return err_hint(err, "name one: qbx-vm run -- CMD");
}

int spec_no_hooks(const json_t *spec, struct qbx_err *err)
{
	static const char *const ours[] = { "prestart", "createRuntime", "poststart", "poststop" };
	const json_t *hooks = json_object_get(spec, "hooks");

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (json_array_size(json_object_get(hooks, ours[i])) == 0)
			continue;
		err_code(err, EX_DATAERR,
			 "the specification has hooks.%s, programs of this host, and they are not "
			 "run here",
			 ours[i]);
		return err_hint(err, "do by hand what they do, and run it without them");
	}
	return 0;
}

json_t *spec_make(const struct box *box, char *const *args, int nargs, struct qbx_err *err)
{
	json_auto_t *spec = box_spec(box, err);
	json_t *root;

	if (!spec && !err->code)
		spec = make_default(box, err);
	if (!spec)
		return NULL;
	if (!json_is_object(json_object_get(spec, "process"))) {
		err_code(err, EX_DATAERR, "the specification has no \"process\"");
		return NULL;
	}
	/* Where the root file system is on the host means nothing to the guest. */
	root = json_object_get(spec, "root");
	if (!json_is_object(root)) {
		root = json_object();
		json_object_set_new(spec, "root", root);
	}
	json_object_set_new(root, "path", json_string("rootfs"));
	return set_args(spec, args, nargs, err) < 0 ? NULL : json_incref(spec);
}
