/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "qbx-init/etc.c"
#include "qbx-init/oci.c"

static bool covered(const char *destination, const char *path)
{
	json_auto_t *mounts =
		json_pack("[{s:s}, {s:s}]", "destination", "/proc", "destination", destination);

	return etc_covered(mounts, path);
}

static void a_mount_covers_itself_and_what_is_below(void **state)
{
	(void)state;
	assert_true(covered("/etc/hosts", "/etc/hosts"));
	assert_true(covered("//etc///hosts/", "/etc/hosts"));
	assert_true(covered("/etc", "/etc/hosts"));
	assert_true(covered("/", "/etc/hosts"));
}

static void a_mount_covers_nothing_else(void **state)
{
	(void)state;
	assert_false(covered("/etc/hostname", "/etc/hosts"));
	assert_false(covered("/etc/host", "/etc/hosts"));
	assert_false(covered("/etc/hosts/deeper", "/etc/hosts"));
	assert_false(covered("/et", "/etc/hosts"));
	assert_false(etc_covered(NULL, "/etc/hosts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_covers_itself_and_what_is_below),
		cmocka_unit_test(a_mount_covers_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
