/* SPDX-License-Identifier: Apache-2.0 */
/* Names of cgroups, which come from OCI specifications. The cgroups themselves: e2e/confine.bats. */
#include "unit.h"

#include <string.h>

#include "qbx-vm/cgroup.c"

static void both_forms_and_none_are_understood(void **state)
{
	static const struct {
		const char *given, *path;
	} good[] = {
		{ NULL, "qemubox/ns--id" },
		{ "", "qemubox/ns--id" },
		{ "/default/x", "default/x" },
		{ "//default/x", "default/x" },
		{ "default", "default" },
		{ "/with:colon/x", "with:colon/x" },
		{ "system.slice:qbx:x", "system.slice/qbx-x.scope" },
		{ ":qbx:x", "system.slice/qbx-x.scope" },
		{ "-.slice:qbx:x", "qbx-x.scope" },
		{ "system.slice::x", "system.slice/x.scope" },
		{ "kubepods-besteffort-pod1.slice:cri-containerd:0a",
		  "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/"
		  "cri-containerd-0a.scope" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct qbx_err err = { 0 };
		char path[PATH_MAX];

		if (cgroup_path(good[i].given, "ns--id", path, &err) < 0)
			fail_msg("%s: %s", good[i].given, err.msg);
		assert_string_equal(path, good[i].path);
	}
}

static void none_leads_elsewhere(void **state)
{
	static const char *const bad[] = {
		"/",
		"..",
		"/../x",
		"/a/../../x",
		"/a/./b",
		"/a//b",
		"/a/",
		"/a\nb",
		"a.slice:b",
		"a:b:c",
		"a.slice:b:c:d",
		".slice:b:c",
		"a.slice:b/../../c:d",
		"../a.slice:b:c",
		"a.slice:b:",
	};
	char path[PATH_MAX], longest[2 * PATH_MAX];
	struct qbx_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&err, 0, sizeof(err));
		if (cgroup_path(bad[i], "ns--id", path, &err) == 0)
			fail_msg("%s became %s", bad[i], path);
		assert_int_equal(err.code, EX_DATAERR);
	}
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(cgroup_path(longest, "ns--id", path, &err), -1);
	memcpy(longest + 250, ".slice:a:b", 11);
	assert_int_equal(cgroup_path(longest, "ns--id", path, &err), -1);
	for (size_t i = 1; i < 240; i += 2)
		longest[i] = '-';
	longest[249] = '\0';
	strcat(longest, ".slice:a:b");
	assert_int_equal(cgroup_path(longest, "ns--id", path, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_and_none_are_understood),
		cmocka_unit_test(none_leads_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
