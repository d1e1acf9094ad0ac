/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "qbx-init/oci.c"
#include "qbx-init/resources.c"
#include "qbx-init/spec.c"

#define NAMESPACES "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\"}]"
#define LINUX "\"linux\":{" NAMESPACES "}"
#define PROCESS "\"process\":{\"args\":[\"true\"],\"cwd\":\"/\"}"
#define WITH(more) "{" PROCESS "," LINUX "," more "}"

static int adapt(struct spec *s, const char *text, struct qbx_err *err)
{
	memset(s, 0, sizeof(*s));
	memset(err, 0, sizeof(*err));
	s->id = "box";
	s->bundle = "/run/qbx/box";
	s->rootfs = "/run/qbx/box/rootfs";
	return spec_adapt(s, text, strlen(text), err);
}

static void accepts(struct spec *s, const char *text)
{
	struct qbx_err err;
	int rc = adapt(s, text, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
}

/* Refused, with a message that says why, and as the sender's mistake. */
static void refuses(const char *text, const char *why)
{
	struct spec s;
	struct qbx_err err;

	assert_int_equal(adapt(&s, text, &err), -1);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	assert_int_equal(err.code, EX_DATAERR);
	spec_free(&s);
}

static const char *text_at(const struct spec *s, const char *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(s->json, object), key));
}

static void takes_the_guests_place(void **state)
{
	json_t *list;
	struct spec s;

	(void)state;
	accepts(&s, WITH("\"root\":{\"path\":\"/var/lib/"
			 "x\",\"readonly\":true},\"annotations\":{\"a\":\"b\"}"));
	assert_string_equal(text_at(&s, "root", "path"), "/run/qbx/box/rootfs");
	assert_true(json_is_true(json_object_get(json_object_get(s.json, "root"), "readonly")));
	assert_null(json_object_get(s.json, "annotations"));
	list = json_object_get(json_object_get(s.json, "linux"), "namespaces");
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "type")),
			    "pid");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "type")),
			    "mount");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "type")),
			    "cgroup");
	assert_string_equal(s.cgroup, "/box");
	spec_free(&s);
	/* The host's path of the network namespace goes with it. */
	accepts(&s, "{" PROCESS
		    ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"cgroup\"},"
		    "{\"type\":\"network\",\"path\":\"/proc/7/ns/net\"}]}}");
	list = json_object_get(json_object_get(s.json, "linux"), "namespaces");
	assert_int_equal(json_array_size(list), 2);
	spec_free(&s);
}

static void keeps_what_the_guest_can_do(void **state)
{
	struct spec s;
	json_t *process;

	(void)state;
	accepts(&s, "{\"process\":{\"args\":[\"a\"],\"user\":{\"uid\":5},\"noNewPrivileges\":true,"
		    "\"apparmorProfile\":\"x\",\"selinuxLabel\":\"y\"},\"linux\":{" NAMESPACES
		    ",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\"},\"mountLabel\":\"z\","
		    "\"resources\":{\"pids\":{\"limit\":7}},\"maskedPaths\":[\"/proc/kcore\"]}}");
	process = json_object_get(s.json, "process");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(process, "user"), "uid")), 5);
	assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
	assert_null(json_object_get(process, "apparmorProfile"));
	assert_null(json_object_get(process, "selinuxLabel"));
	process = json_object_get(s.json, "linux");
	assert_non_null(json_object_get(process, "seccomp"));
	assert_non_null(json_object_get(process, "resources"));
	assert_non_null(json_object_get(process, "maskedPaths"));
	assert_null(json_object_get(process, "mountLabel"));
	spec_free(&s);
}

static void refuses_what_only_the_host_has(void **state)
{
	(void)state;
	refuses("{" PROCESS
		",\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"},"
		"{\"type\":\"ipc\",\"path\":\"/proc/7/ns/ipc\"}]}}",
		"ipc namespace /proc/7/ns/ipc");
	refuses("{" PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}}",
		"host's network");
	refuses("{" PROCESS ",\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}",
		"mount namespace");
	refuses("{" PROCESS "}", "mount namespace");
	refuses(WITH("\"hooks\":{\"prestart\":[],\"poststop\":[{\"path\":\"/bin/x\"}]}"),
		"hooks.poststop");
	refuses("{" PROCESS ",\"linux\":{" NAMESPACES
		",\"seccomp\":{\"listenerPath\":\"/run/x\"}}}",
		"listenerPath");
	refuses(WITH("\"mounts\":[{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"/"
		     "x\","
		     "\"options\":[\"rbind\"]}]"),
		"mount on /etc/hosts");
	refuses(WITH("\"mounts\":[{\"destination\":\"/d\",\"type\":\"tmpfs\",\"source\":\"/x\","
		     "\"options\":[\"bind\"]}]"),
		"mount on /d");
	refuses(WITH("\"mounts\":[{\"destination\":\"/d\",\"type\":\"ext4\",\"source\":\"/dev/"
		     "sda1\"}]"),
		"ext4 of /dev/sda1");
	refuses(WITH("\"mounts\":[{\"destination\":\"/d\",\"source\":\"/x\"}]"), "mount on /d");
}

static void volumes_are_bound_from_the_bundle(void **state)
{
	static const char *const no[] = { "volumes/0/../..", "volumes/", "../volumes/0", "rootfs" };
	struct spec s;
	json_t *mounts;

	(void)state;
	accepts(&s, WITH("\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\",\"source\":"
			 "\"volumes/12\",\"options\":[\"rbind\",\"ro\"]}]"));
	mounts = json_object_get(s.json, "mounts");
	assert_string_equal(json_string_value(json_object_get(json_array_get(mounts, 0), "source")),
			    "/run/qbx/box/volumes/12");
	assert_int_equal(json_array_size(json_object_get(json_array_get(mounts, 0), "options")), 2);
	spec_free(&s);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		char text[512];

		snprintf(text, sizeof(text),
			 WITH("\"mounts\":[{\"destination\":\"/d\",\"type\":\"bind\",\"source\":"
			      "\"%s\"}]"),
			 no[i]);
		refuses(text, "mount on /d");
	}
}

static void drops_hooks_that_are_none(void **state)
{
	struct spec s;

	(void)state;
	accepts(&s, WITH("\"hooks\":{\"prestart\":[],\"poststop\":null}"));
	assert_null(json_object_get(s.json, "hooks"));
	spec_free(&s);
}

static json_t *linux_of(const struct spec *s)
{
	return json_object_get(s->json, "linux");
}

#define WITH_LINUX(more) "{" PROCESS ",\"linux\":{" NAMESPACES "," more "}}"
#define DISK "{\"path\":\"/dev/sda\",\"type\":\"b\",\"major\":8,\"minor\":0}"
#define NULL_DEVICE "{\"path\":\"/dev/n\",\"type\":\"c\",\"major\":1,\"minor\":3}"
#define FIFO "{\"path\":\"/dev/p\",\"type\":\"p\"}"
#define RULES(list) "\"resources\":{\"devices\":[" list "]}"

static void has_the_devices_of_a_guest(void **state)
{
	json_t *rules;
	struct spec s;

	(void)state;
	accepts(&s, WITH_LINUX("\"devices\":[" NULL_DEVICE "," FIFO "]"));
	assert_int_equal(json_array_size(json_object_get(linux_of(&s), "devices")), 2);
	spec_free(&s);
	refuses(WITH_LINUX("\"devices\":[" NULL_DEVICE "," DISK "]"), "device /dev/sda");
	refuses(WITH_LINUX("\"devices\":[7]"), "a device");
	refuses(WITH_LINUX("\"devices\":[{\"type\":\"b\",\"major\":\"8\"}]"), "major");
	/* One that asks for all that there are does without those that are not. */
	accepts(&s, WITH_LINUX("\"devices\":[" DISK "," NULL_DEVICE "," DISK "]," RULES(
			    "{\"allow\":false},{\"allow\":true,\"access\":\"rwm\"}")));
	assert_int_equal(json_array_size(json_object_get(linux_of(&s), "devices")), 1);
	spec_free(&s);
	refuses(WITH_LINUX("\"devices\":[" DISK "]," RULES("{\"allow\":true},{\"allow\":false}")),
		"device /dev/sda");
	/* A rule must not open a disk of the guest's that has the number of the host's. */
	accepts(&s, WITH_LINUX(RULES("{\"allow\":false},{\"allow\":true,\"type\":\"b\",\"major\":8,"
				     "\"minor\":0},{\"allow\":true,\"type\":\"b\",\"major\":8},"
				     "{\"allow\":true,\"type\":\"c\",\"major\":136,\"minor\":-1},"
				     "{\"allow\":true,\"type\":\"c\",\"access\":\"m\"},"
				     "{\"allow\":false,\"type\":\"b\",\"major\":8,\"minor\":1}")));
	rules = json_object_get(json_object_get(linux_of(&s), "resources"), "devices");
	assert_int_equal(json_array_size(rules), 4);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rules, 1), "major")),
			 136);
	spec_free(&s);
}

static void drops_limits_on_what_is_not_here(void **state)
{
	json_t *resources;
	struct spec s;

	(void)state;
	accepts(&s, WITH_LINUX("\"intelRdt\":{\"closID\":\"x\"},\"memoryPolicy\":{\"mode\":\"m\"},"
			       "\"strange\":1,\"resources\":{\"hugepageLimits\":[{\"limit\":0}],"
			       "\"rdma\":{\"a\":{}},\"network\":{\"classID\":1},\"odd\":[1],"
			       "\"blockIO\":{\"weight\":10,\"throttleReadBpsDevice\":[{}]},"
			       "\"unified\":{\"cpuset.cpus\":\"7\",\"memory.high\":\"9\"}}"));
	assert_int_equal(json_object_size(linux_of(&s)), 3); /* and the cgroup's path */
	resources = json_object_get(linux_of(&s), "resources");
	assert_int_equal(json_object_size(resources), 2);
	assert_int_equal(json_object_size(json_object_get(resources, "blockIO")), 1);
	assert_int_equal(json_object_size(json_object_get(resources, "unified")), 1);
	spec_free(&s);
	accepts(&s, WITH("\"windows\":{\"x\":1},\"vm\":{},\"domainname\":\"d\""));
	assert_int_equal(json_object_size(s.json), 4);
	spec_free(&s);
	refuses(WITH_LINUX("\"netDevices\":{\"eth1\":{}}"), "linux.netDevices");
}

static void runs_the_hooks_of_the_container(void **state)
{
	json_t *hooks, *list;
	struct spec s;

	(void)state;
	accepts(&s, WITH("\"hooks\":{\"startContainer\":[{\"path\":\"/b\"}],"
			 "\"createContainer\":[{\"path\":\"/a\"}],\"prestart\":[]}"));
	hooks = json_object_get(s.json, "hooks");
	list = json_object_get(hooks, "startContainer");
	assert_int_equal(json_object_size(hooks), 1);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "path")),
			    "/a");
	spec_free(&s);
	refuses(WITH("\"hooks\":{\"startContainer\":[{\"path\":\"b\"}]}"), "hooks.startContainer");
	refuses(WITH("\"hooks\":{\"createContainer\":[7]}"), "hooks.createContainer");
	refuses(WITH("\"hooks\":{\"createContainer\":{}}"), "createContainer");
	refuses(WITH("\"hooks\":{\"createRuntime\":[{\"path\":\"/b\"}]}"), "hooks.createRuntime");
}

static void refuses_wrong_types(void **state)
{
	(void)state;
	refuses("[]", "object");
	refuses("{", "not valid JSON");
	refuses("{\"process\":{},\"process\":{}}", "not valid JSON");
	refuses("{" LINUX "}", "process is missing");
	refuses("{\"process\":[]," LINUX "}", "process has the wrong type");
	refuses("{\"process\":{\"args\":[]}," LINUX "}", "names no program");
	refuses("{\"process\":{\"args\":[7]}," LINUX "}", "names no program");
	refuses("{" PROCESS ",\"linux\":7}", "linux has the wrong type");
	refuses("{" PROCESS ",\"linux\":{\"namespaces\":[7]}}", "linux.namespaces");
	refuses(WITH("\"root\":7"), "root has the wrong type");
	refuses(WITH("\"mounts\":{}"), "mounts has the wrong type");
	refuses(WITH("\"mounts\":[7]"), "mounts has the wrong type");
	refuses(WITH("\"mounts\":[{\"destination\":\"rel\",\"type\":\"proc\"}]"),
		"not an absolute path");
	refuses(WITH("\"hooks\":7"), "hooks has the wrong type");
}

static void places_cgroups(void **state)
{
	static const struct {
		const char *given, *placed;
	} good[] = {
		{ "", "/box" },
		{ "/default/box", "/default/box" },
		{ "default/box", "/default/box" },
		{ "system.slice:cri:box", "/system.slice/cri-box" },
		{ "/a:b/c", "/a:b/c" },
	};
	static const char *const bad[] = { "/",		 "/..",	   "/a/../b", "/a//b",
					   "/a/",	 "a:b",	   ":b:c",    "a:b:c:d",
					   "/a/.hidden", "..:a:b", "/a\\nb" };
	char text[512];
	struct spec s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text),
			 "{" PROCESS ",\"linux\":{" NAMESPACES ",\"cgroupsPath\":\"%s\"}}",
			 good[i].given);
		accepts(&s, text);
		assert_string_equal(s.cgroup, good[i].placed);
		assert_string_equal(text_at(&s, "linux", "cgroupsPath"), good[i].placed);
		spec_free(&s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 "{" PROCESS ",\"linux\":{" NAMESPACES ",\"cgroupsPath\":\"%s\"}}", bad[i]);
		refuses(text, strchr(bad[i], '\\') ? "cgroupsPath" : bad[i]);
	}
}

static void takes_network_sysctls_only(void **state)
{
	struct spec s;
	json_t *kept;

	(void)state;
	accepts(&s,
		"{" PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"net.ipv4.ip_forward\":\"1\","
		"\"net/ipv4/conf/eth0.1/rp_filter\":\"0\",\"kernel.shmmax\":\"5\"}}}");
	kept = json_object_get(json_object_get(s.json, "linux"), "sysctl");
	assert_int_equal(json_object_size(kept), 1);
	assert_non_null(json_object_get(kept, "kernel.shmmax"));
	assert_int_equal(json_object_size(s.sysctls), 2);
	assert_string_equal(json_string_value(json_object_get(s.sysctls, "net.ipv4.ip_forward")),
			    "1");
	spec_free(&s);
	refuses("{" PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"net.ipv4/../../x\":\"1\"}}}",
		"linux.sysctl");
	refuses("{" PROCESS ",\"linux\":{" NAMESPACES ",\"sysctl\":{\"net.x\":1}}}",
		"linux.sysctl");
}

/* The request says whether there is one, not the specification. */
static void has_the_terminal_of_the_request(void **state)
{
	static const char text[] = "{\"process\":{\"args\":[\"a\"],\"terminal\":%s,"
				   "\"consoleSize\":{\"width\":%d,\"height\":5}}," LINUX "}";
	static const int widths[] = { -1, 65536 };
	char buf[512];
	struct spec s = { .id = "box", .bundle = "/b", .rootfs = "/r", .terminal = true };
	struct qbx_err err = { 0 };
	json_t *process;

	(void)state;
	snprintf(buf, sizeof(buf), text, "false", 65535);
	assert_int_equal(spec_adapt(&s, buf, strlen(buf), &err), 0);
	process = json_object_get(s.json, "process");
	assert_true(json_is_true(json_object_get(process, "terminal")));
	assert_non_null(json_object_get(process, "consoleSize"));
	spec_free(&s);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		snprintf(buf, sizeof(buf), text, "true", widths[i]);
		assert_int_equal(spec_adapt(&s, buf, strlen(buf), &err), -1);
		assert_non_null(strstr(err.msg, "consoleSize"));
		spec_free(&s);
	}
	snprintf(buf, sizeof(buf), text, "true", 7);
	accepts(&s, buf);
	process = json_object_get(s.json, "process");
	assert_true(json_is_false(json_object_get(process, "terminal")));
	assert_null(json_object_get(process, "consoleSize"));
	spec_free(&s);
}

static void an_exec_has_a_process_of_its_own(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "{}", "names no program" },
		{ "{\"args\":[]}", "names no program" },
		{ "{\"args\":\"true\"}", "wrong type" },
		{ "[]", "object" },
	};
	static const char good[] = "{\"args\":[\"true\"],\"cwd\":\"/\",\"apparmorProfile\":\"x\"}";
	struct qbx_err err = { 0 };
	json_auto_t *process = spec_process(good, strlen(good), false, &err);

	(void)state;
	assert_non_null(process);
	assert_null(json_object_get(process, "apparmorProfile"));
	assert_string_equal(json_string_value(json_object_get(process, "cwd")), "/");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&err, 0, sizeof(err));
		assert_null(spec_process(bad[i].text, strlen(bad[i].text), false, &err));
		if (!strstr(err.msg, bad[i].why))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, bad[i].why);
	}
}

static void processors_are_not_the_hosts(void **state)
{
	json_t *cpu;
	struct spec s;

	(void)state;
	accepts(&s, "{" PROCESS ",\"linux\":{" NAMESPACES
		    ",\"resources\":{\"cpu\":{\"cpus\":\"6-7\",\"mems\":\"1\",\"quota\":5}}}}");
	cpu = json_object_get(json_object_get(json_object_get(s.json, "linux"), "resources"),
			      "cpu");
	assert_null(json_object_get(cpu, "cpus"));
	assert_null(json_object_get(cpu, "mems"));
	assert_int_equal(json_integer_value(json_object_get(cpu, "quota")), 5);
	spec_free(&s);
	refuses("{" PROCESS ",\"linux\":{" NAMESPACES ",\"resources\":{\"cpu\":[]}}}", "cpu");
}

static json_t *update(const char *text, struct qbx_err *err)
{
	memset(err, 0, sizeof(*err));
	return spec_adapt_update(text, strlen(text), err);
}

static void an_update_is_resources_alone(void **state)
{
	static const char *const bad[] = { "", "[]", "{\"memory\":7}", "{\"cpu\":\"all\"}" };
	struct qbx_err err;
	json_t *resources;

	(void)state;
	resources = update("{\"memory\":{\"limit\":7},\"devices\":[{\"allow\":true}],"
			   "\"cpu\":{\"cpus\":\"3\"}}",
			   &err);
	assert_non_null(resources);
	assert_null(json_object_get(resources, "devices"));
	assert_int_equal(json_object_size(json_object_get(resources, "cpu")), 0);
	assert_int_equal(json_object_size(json_object_get(resources, "memory")), 1);
	json_decref(resources);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_null(update(bad[i], &err));
		assert_int_equal(err.code, EX_DATAERR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_guests_place),
		cmocka_unit_test(processors_are_not_the_hosts),
		cmocka_unit_test(an_update_is_resources_alone),
		cmocka_unit_test(keeps_what_the_guest_can_do),
		cmocka_unit_test(refuses_what_only_the_host_has),
		cmocka_unit_test(volumes_are_bound_from_the_bundle),
		cmocka_unit_test(drops_hooks_that_are_none),
		cmocka_unit_test(has_the_devices_of_a_guest),
		cmocka_unit_test(drops_limits_on_what_is_not_here),
		cmocka_unit_test(runs_the_hooks_of_the_container),
		cmocka_unit_test(refuses_wrong_types),
		cmocka_unit_test(places_cgroups),
		cmocka_unit_test(takes_network_sysctls_only),
		cmocka_unit_test(has_the_terminal_of_the_request),
		cmocka_unit_test(an_exec_has_a_process_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
