/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input of start: BootstrapParams, an Any of options, nothing, or neither. */
#include "unit.h"

#include "qbx-shim/bootstrap.c"

static struct bootstrap b;
static struct qbx_err err;

static int decode(const char *data, size_t len)
{
	memset(&err, 0, sizeof(err));
	return bootstrap_decode(&b, (const uint8_t *)data, len, "demo", "default", &err);
}

#define DECODE(text) decode(text, sizeof(text) - 1)

static void params(void **state)
{
	(void)state;
	/* fields 1 and 2, a log level (3), an extension (8) and a socket directory (9) */
	assert_int_equal(DECODE("\x0a\x04"
				"demo\x12\x07"
				"default\x18\x02"
				"\x42\x02\x0a\x00"
				"\x4a\x04/run"),
			 0);
	assert_true(b.params);
	assert_string_equal(b.socket_dir, "/run");
}

static void options_or_nothing(void **state)
{
	(void)state;
	assert_int_equal(decode(NULL, 0), 0);
	assert_false(b.params);
	assert_int_equal(DECODE("\x0a\x09"
				"some.type\x12\x03\x01\x02\x03"),
			 0);
	assert_false(b.params);
	/* of another task: not ours to answer in JSON */
	assert_int_equal(DECODE("\x0a\x05"
				"other\x12\x07"
				"default\x4a\x03run"),
			 0);
	assert_false(b.params);
	assert_string_equal(b.socket_dir, "");
}

static void refused(void **state)
{
	(void)state;
	assert_int_equal(DECODE("\xff\xff\xff"), -1);
	assert_int_equal(err.code, EX_DATAERR);
	assert_int_equal(DECODE("\x0a\x04"
				"demo\x12\x07"
				"default\x4a\x03run"),
			 -1);
	assert_non_null(strstr(err.msg, "absolute"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(params),
		cmocka_unit_test(options_or_nothing),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
