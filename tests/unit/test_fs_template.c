/* SPDX-License-Identifier: Apache-2.0 */
/* templates in containerd's mounts */
#include "unit.h"

#include "qbx-fs/template.c"

static void test_mount(void **state)
{
	const char *p = "{{ mount 12 }}/upper";
	struct qbx_err err = { 0 };
	struct template t;

	(void)state;
	assert_int_equal(template_take(&p, &t, &err), 1);
	assert_int_equal(t.first, 12);
	assert_int_equal(t.last, 12);
	assert_string_equal(p, "/upper");
	p = "{{mount 0}}";
	assert_int_equal(template_take(&p, &t, &err), 1);
	assert_string_equal(p, "");
}

static void test_overlay(void **state)
{
	const char *p = "{{ overlay 1 128 }}:/dir";
	struct qbx_err err = { 0 };
	struct template t;

	(void)state;
	assert_int_equal(template_take(&p, &t, &err), 1);
	assert_int_equal(t.first, 1);
	assert_int_equal(t.last, 128);
	assert_string_equal(p, ":/dir");
	p = "{{overlay  3\t1}}";
	assert_int_equal(template_take(&p, &t, &err), 1);
	assert_int_equal(t.first, 3);
	assert_int_equal(t.last, 1);
}

static void test_none(void **state)
{
	const char *const start = "/dir/{{ mount 0 }}", *p = start;
	struct qbx_err err = { 0 };
	struct template t;

	(void)state;
	assert_int_equal(template_take(&p, &t, &err), 0);
	assert_ptr_equal(p, start);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"{{",
		"{{}}",
		"{{ mount }}",
		"{{ mount -1 }}",
		"{{ mount 1000 }}",
		"{{ mount 0",
		"{{ mount 0 }",
		"{{ mount0 }}",
		"{{ overlay 1 }}",
		"{{ overlay 1 2 3 }}",
		"{{ source 0 }}",
		"{{ target 0 }}",
		"{{ mount 0 | x }}",
		"{{- mount 0 -}}",
		"{{ mounts 0 }}",
	};
	struct qbx_err err = { 0 };
	struct template t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *p = bad[i];

		assert_int_equal(template_take(&p, &t, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		assert_ptr_equal(p, bad[i]);
	}
}

static void test_mkdir(void **state)
{
	struct qbx_err err = { 0 };
	struct template_mkdir m;

	(void)state;
	assert_int_equal(template_mkdir("upperdir=/x", &m, &err), 0);
	assert_int_equal(
		template_mkdir("X-containerd.mkdir.path={{ mount 0 }}/upper:0755", &m, &err), 1);
	assert_int_equal(m.path_len, strlen("{{ mount 0 }}/upper"));
	assert_memory_equal(m.path, "{{ mount 0 }}/upper", m.path_len);
	assert_int_equal(m.mode, 0755);
	assert_int_equal(m.uid, 0);
	assert_int_equal(template_mkdir("X-containerd.mkdir.path=/a:700:1000:4294967294", &m, &err),
			 1);
	assert_int_equal(m.uid, 1000);
	assert_true(m.gid == 4294967294u);
	assert_int_equal(template_mkdir("X-containerd.mkdir.path=/a", &m, &err), 1);
	assert_int_equal(m.mode, 0700);
}

static void test_bad_mkdir(void **state)
{
	static const char *const bad[] = {
		"X-containerd.mkdir.",
		"X-containerd.mkdir.paths=/a",
		"X-containerd.mkdir.path=",
		"X-containerd.mkdir.path=:0755",
		"X-containerd.mkdir.path=/a:",
		"X-containerd.mkdir.path=/a:0855",
		"X-containerd.mkdir.path=/a:01755",
		"X-containerd.mkdir.path=/a:0755:1",
		"X-containerd.mkdir.path=/a:0755:1:",
		"X-containerd.mkdir.path=/a:0755:1:2:3",
		"X-containerd.mkdir.path=/a:0755:-1:2",
		"X-containerd.mkdir.path=/a:0755:1:4294967295",
		"X-containerd.mkdir.path=/a:77777777777",
	};
	struct qbx_err err = { 0 };
	struct template_mkdir m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(template_mkdir(bad[i], &m, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount), cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_none),  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_mkdir), cmocka_unit_test(test_bad_mkdir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
