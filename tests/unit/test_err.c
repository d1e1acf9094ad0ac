/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "err.h"

/* What err_print() writes, in a buffer of the caller's. */
static const char *printed(const struct qbx_err *err, int json, char *buf, size_t size)
{
	FILE *f = fmemopen(buf, size, "w");

	err_print(err, f, json);
	fclose(f);
	return buf;
}

static void sys_appends_errno_and_maps_it(void **state)
{
	struct qbx_err e = { .stage = "t" };
	char buf[256];

	(void)state;
	assert_int_equal(err_sys(&e, EACCES, "open %s", "/x"), -1);
	assert_int_equal(e.code, EX_NOPERM);
	assert_int_equal(e.sys, EACCES);
	assert_string_equal(printed(&e, 0, buf, sizeof(buf)), "t: open /x: Permission denied\n");
	err_sys(&e, EBUSY, "x");
	assert_int_equal(e.code, EX_TEMPFAIL);
	err_sys(&e, ENOENT, "x");
	assert_int_equal(e.code, EX_UNAVAILABLE);
}

static void wrap_and_hint_make_one_line(void **state)
{
	struct qbx_err e = { .stage = "t" };
	char buf[256];

	(void)state;
	err_code(&e, EX_DATAERR, "bad\nbyte\033");
	err_wrap(&e, "layer %d", 3);
	err_hint(&e, "make it anew");
	assert_string_equal(printed(&e, 0, buf, sizeof(buf)), "t: layer 3: bad byte (make it anew)\n");
	assert_int_equal(e.code, EX_DATAERR);
	err_forget(&e);
	assert_int_equal(e.code, 0);
	err_code(&e, 1, "again");
	assert_string_equal(printed(&e, 0, buf, sizeof(buf)), "t: again\n");
}

static void long_text_is_cut_not_overrun(void **state)
{
	struct qbx_err e = { .stage = "t" };
	char big[2000];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_sys(&e, EIO, "%s", big);
	err_wrap(&e, "%s", big);
	err_hint(&e, "%s", big);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);
}

static void json_form_is_the_documented_object(void **state)
{
	struct qbx_err e = { .stage = "t" };
	char buf[512];

	(void)state;
	err_sys(&e, ENOENT, "open \"q\"");
	printed(&e, 1, buf, sizeof(buf));
	assert_string_equal(buf, "{\"error\":{\"stage\":\"t\",\"code\":69,\"errno\":2,\"message\":"
				 "\"open \\\"q\\\": No such file or directory\",\"hint\":\"\"}}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sys_appends_errno_and_maps_it),
		cmocka_unit_test(wrap_and_hint_make_one_line),
		cmocka_unit_test(long_text_is_cut_not_overrun),
		cmocka_unit_test(json_form_is_the_documented_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
