/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's command line, in the syntax of Go's flag package. */
#include "unit.h"

#include "qbx-shim/flags.c"

#define PARSE(f, err, ...)                                                     \
	({                                                                     \
		const char *argv[] = { "shim", __VA_ARGS__, NULL };            \
		flags_parse(f, (int)ARRAY_SIZE(argv) - 1, (char **)argv, err); \
	})

static void as_containerd_starts_one(void **state)
{
	struct flags f;
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(PARSE(&f, &err, "-namespace", "default", "-address", "/run/c.sock",
			       "-publish-binary", "/usr/bin/containerd", "-id", "demo", "start"),
			 0);
	assert_string_equal(f.namespace, "default");
	assert_string_equal(f.address, "/run/c.sock");
	assert_string_equal(f.id, "demo");
	assert_string_equal(f.action, "start");
	assert_null(f.bundle);
	assert_false(f.debug);
}

static void dashes_and_equals(void **state)
{
	struct flags f;
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(
		PARSE(&f, &err, "--id=a=b", "-debug", "--bundle", "/b", "delete", "-id", "c"), 0);
	assert_string_equal(f.id, "a=b");
	assert_string_equal(f.bundle, "/b");
	assert_true(f.debug);
	assert_string_equal(f.action, "delete");
	assert_int_equal(PARSE(&f, &err, "-debug=false", "-id=", "--", "-v"), 0);
	assert_false(f.debug);
	assert_string_equal(f.id, "");
	assert_false(f.version);
	assert_string_equal(f.action, "-v");
}

static void version_and_info(void **state)
{
	struct flags f;
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(PARSE(&f, &err, "-v"), 0);
	assert_true(f.version);
	assert_int_equal(PARSE(&f, &err, "--version", "-info=T"), 0);
	assert_true(f.version && f.info);
	assert_null(f.action);
}

static void refused(void **state)
{
	struct flags f;
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(PARSE(&f, &err, "-unknown", "start"), -1);
	assert_int_equal(err.code, EX_USAGE);
	assert_int_equal(PARSE(&f, &err, "-id"), -1);
	assert_int_equal(PARSE(&f, &err, "-debug=perhaps"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_containerd_starts_one),
		cmocka_unit_test(dashes_and_equals),
		cmocka_unit_test(version_and_info),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
