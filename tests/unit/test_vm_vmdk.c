/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of disks made of several files: read, and written for QEMU. */
#include "unit.h"

#include <string.h>

#include "qbx-vm/vmdk.c"

static const char good[] = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
			   "createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n"
			   "RW 8 FLAT \"/a b/meta\" 0\nRW 1234567890123 FLAT \"/l,ayer\" 16\n"
			   "\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"ide\"\n";

static void extents_become_descriptors(void **state)
{
	struct qbx_err err = { 0 };
	struct vmdk *d = vmdk_parse(good, &err);
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_non_null(d);
	assert_int_equal(d->n, 2);
	assert_string_equal(d->v[0].path, "/a b/meta");
	assert_string_equal(d->v[1].path, "/l,ayer");
	text = vmdk_rewrite(d, 7);
	assert_non_null(strstr(text, "\nRW 8 FLAT \"/dev/fdset/7\" 0\n"
				     "RW 1234567890123 FLAT \"/dev/fdset/8\" 16\n"));
	assert_null(strstr(text, "meta"));
	vmdk_free(d);
	d = vmdk_parse(text, &err);
	assert_non_null(d);
	vmdk_free(d);
}

static void what_could_open_other_files_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "no extent" },
		{ "# nothing\n", "no extent" },
		{ "parentFileNameHint=\"/etc/shadow\"\n", "not a flat extent" },
		{ "parentCID=12345678\n", "not a flat extent" },
		{ "RW 8 SPARSE \"/a\" 0\n", "not a flat extent" },
		{ "RW 8 FLAT \"nbd://host\" 0\n", "not a flat extent" },
		{ "RW x FLAT \"/a\" 0\n", "not a flat extent" },
		{ "RW 99999999999999999999 FLAT \"/a\" 0\n", "not a flat extent" },
		{ "RW 8 FLAT \"/a\n\" 0\n", "without end" },
		{ "RW 8 FLAT \"/a\"\n", "without its offset" },
		{ "RW 8 FLAT \"/a\" 0 more\n", "without its offset" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err = { 0 };

		assert_null(vmdk_parse(bad[i].text, &err));
		assert_int_equal(err.code, EX_DATAERR);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
	}
}

static void there_is_an_end_to_extents(void **state)
{
	_cleanup_free_ char *text = calloc(VMDK_EXTENTS_MAX + 1, 32);
	struct qbx_err err = { 0 };

	(void)state;
	for (unsigned i = 0; i <= VMDK_EXTENTS_MAX; i++)
		strcat(text, "RW 8 FLAT \"/a\" 0\n");
	assert_null(vmdk_parse(text, &err));
	assert_non_null(strstr(err.msg, "more than 512 extents"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extents_become_descriptors),
		cmocka_unit_test(what_could_open_other_files_is_refused),
		cmocka_unit_test(there_is_an_end_to_extents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
