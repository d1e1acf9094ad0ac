/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that qbx-vm check reads: QEMU's help, mountinfo, controllers, the manifest, CPU flags */
#include "unit.h"

#include <string.h>

#include "qbx-vm/accel.c"
#include "qbx-vm/check_cni.c"
#include "qbx-vm/check_guest.c"
#include "qbx-vm/check_host.c"
#include "qbx-vm/check_qemu.c"

/* What the others ask of files that are not here. */
char *check_command(const char *const *argv, struct qbx_err *err)
{
	(void)argv;
	err_code(err, EX_UNAVAILABLE, "not here");
	return NULL;
}

char **vm_argv(const struct vm_spec *spec)
{
	(void)spec;
	return NULL;
}

void strv_free(char **v)
{
	(void)v;
}

const char *const *vsock_argv(void)
{
	static const char *const argv[] = { "vhost-device-vsock", NULL };

	return argv;
}

int vsock_by_vhost_user(const struct config *cfg, bool *vhost_user, struct qbx_err *err)
{
	(void)cfg;
	(void)err;
	*vhost_user = true;
	return 0;
}

bool plan_find_program(char *found, const char *name)
{
	found[0] = '\0';
	(void)name;
	return false;
}

int plan_find_qemu(char *path, const struct config *cfg, struct qbx_err *err)
{
	path[0] = '\0';
	(void)cfg;
	return err_code(err, EX_UNAVAILABLE, "not here");
}

int plan_find_guest(char *kernel, char *initrd, const struct config *cfg, struct qbx_err *err)
{
	kernel[0] = initrd[0] = '\0';
	(void)cfg;
	return err_code(err, EX_UNAVAILABLE, "not here");
}

static void flags_of_a_cpu(void **state)
{
	(void)state;
	assert_true(accel_cpu_virtualises("processor\t: 0\nflags\t\t: fpu vmx sse\nbugs\t: x\n"));
	assert_true(accel_cpu_virtualises("processor\t: 0\nflags\t\t: fpu svm\n"));
	assert_false(accel_cpu_virtualises(
		"processor\t: 0\nflags\t\t: fpu svm_lock\nvmx flags\t: vnmi\n"));
	assert_false(accel_cpu_virtualises(""));
}

static void versions_of_qemu(void **state)
{
	int major, minor;

	(void)state;
	assert_true(parse_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright",
				  &major, &minor));
	assert_int_equal(major, 7);
	assert_int_equal(minor, 2);
	assert_true(parse_version("QEMU emulator version 11.1\n", &major, &minor));
	assert_int_equal(major, 11);
	assert_false(parse_version("qemu: not found", &major, &minor));
	assert_false(parse_version("", &major, &minor));
}

static void lists_of_qemu(void **state)
{
	static const char devices[] = "Storage devices:\n"
				      "name \"virtio-blk-device\", bus virtio-bus\n"
				      "name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\"\n";
	static const char machines[] = "Supported machines are:\n"
				       "microvm              microvm (i386)\n"
				       "q35                  Standard PC (alias of pc-q35-11.1)\n";

	(void)state;
	assert_true(lists_device(devices, "virtio-blk-device"));
	assert_false(lists_device(devices, "virtio-blk"));
	assert_false(lists_device(devices, "blk-device"));
	assert_false(lists_device("", "virtio-blk-device"));
	assert_true(lists_first(machines, "microvm"));
	assert_true(lists_first(machines, "q35"));
	assert_false(lists_first(machines, "micro"));
	assert_false(lists_first(machines, "Standard"));
	assert_false(lists_first("\n\n", "q35"));
	assert_true(lists_first("Accelerators supported in QEMU binary:\ntcg\nkvm", "kvm"));
}

static void where_cgroup_v2_is(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_true(cgroup2_mount(
		"22 1 0:20 / /sys rw - sysfs sysfs rw\n"
		"30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		path));
	assert_string_equal(path, "/sys/fs/cgroup");
	assert_true(cgroup2_mount("35 30 0:31 / /a rw - cgroup2 none rw", path));
	assert_string_equal(path, "/a");
	assert_false(cgroup2_mount(
		"31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", path));
	assert_false(cgroup2_mount("", path));
}

static void which_controllers_lack(void **state)
{
	char out[64];

	(void)state;
	lacking("cpuset cpu io memory hugetlb pids rdma\n", controllers, 3, out, sizeof(out));
	assert_string_equal(out, "");
	lacking("cpuset io memory\n", controllers, 3, out, sizeof(out));
	assert_string_equal(out, " cpu pids");
	lacking("", controllers, 3, out, sizeof(out));
	assert_string_equal(out, " memory cpu pids");
}

static int read_manifest(const char *text, struct manifest *m, json_t **j)
{
	struct qbx_err err = { 0 };

	*j = json_parse(text, strlen(text), "test", &err);
	assert_non_null(*j);
	return manifest_read(*j, m, &err);
}

#define REST                                                                                 \
	"\"kernel\":{\"sha256\":\"aa\",\"release\":\"6.12\"},\"initrd\":{\"sha256\":\"bb\"," \
	"\"crun\":\"1\"}}"

static void manifests(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"guest\":2,\"protocol\":1," REST,
		"{\"guest\":1,\"protocol\":2," REST,
		"{\"guest\":1,\"protocol\":\"1\"," REST,
		"{\"guest\":1,\"protocol\":1,\"kernel\":{\"sha256\":1}}",
	};
	struct manifest m;
	json_t *j;

	(void)state;
	assert_int_equal(read_manifest("{\"guest\":1,\"protocol\":1," REST, &m, &j), 0);
	assert_string_equal(m.kernel, "aa");
	assert_string_equal(m.initrd, "bb");
	json_decref(j);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(read_manifest(bad[i], &m, &j), -1);
		json_decref(j);
	}
}

static void what_qbx_net_says(void **state)
{
	char detail[CHECK_DETAIL_MAX] = "";
	struct qbx_err err = { 0 };

	(void)state;
	assert_true(
		find_network("# lease /x\n# network n, CNI 1.0.0, of /f; each\nprintf", detail));
	assert_string_equal(detail, "n, CNI 1.0.0, of /f");
	assert_false(find_network("# lease /x\nip netns add y\n", detail));
	take_error(
		"qbx-net: warning: {x}\n{\"error\":{\"stage\":\"qbx-net\",\"code\":77,\"errno\":13,"
		"\"message\":\"no {way}\",\"hint\":\"ask\"}}\n",
		77, &err);
	assert_int_equal(err.code, EX_NOPERM);
	assert_string_equal(err.msg, "no {way}");
	assert_string_equal(err.hint, "ask");
	take_error("Segmentation fault", 139, &err);
	assert_int_equal(err.code, EX_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "139"));
	take_error("", 1, &err);
	assert_int_equal(err.code, EX_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_of_a_cpu),	  cmocka_unit_test(versions_of_qemu),
		cmocka_unit_test(lists_of_qemu),	  cmocka_unit_test(where_cgroup_v2_is),
		cmocka_unit_test(which_controllers_lack), cmocka_unit_test(manifests),
		cmocka_unit_test(what_qbx_net_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
