/* SPDX-License-Identifier: Apache-2.0 */
/* the container's specification, and what else qbx-vm makes of texts */
#include "unit.h"

#include "qbx-vm/accel.c"
#include "qbx-vm/spec.c"

static json_t *make(const char *text, const char *const *args, int nargs, struct qbx_err *err)
{
	struct box box;
	json_t *spec;

	memset(err, 0, sizeof(*err));
	if (box_take(&box, json_loads(text, 0, NULL), "test", err) < 0)
		fail_msg("%s", err->msg);
	spec = spec_make(&box, (char *const *)args, nargs, err);
	box_free(&box);
	return spec;
}

static const char *str(const json_t *j, const char *a, const char *b, size_t i)
{
	return json_string_value(json_array_get(json_object_get(json_object_get(j, a), b), i));
}

static void the_default_is_a_container_with_the_image_s_process(void **state)
{
	static const char *const args[] = { "uname", "-a" };
	struct qbx_err err;
	json_auto_t *spec =
		make("{\"qbx\":1,\"id\":\"demo\",\"fs\":{\"process\":{\"args\":[\"sh\"],"
		     "\"env\":[\"A=b\"],\"cwd\":\"/srv\",\"user\":{\"uid\":7,\"gid\":8}}}}",
		     args, 2, &err);
	const json_t *process = json_object_get(spec, "process");

	(void)state;
	assert_non_null(spec);
	assert_string_equal(json_string_value(json_object_get(spec, "hostname")), "demo");
	assert_string_equal(str(spec, "process", "args", 0), "uname");
	assert_string_equal(str(spec, "process", "args", 1), "-a");
	assert_null(str(spec, "process", "args", 2));
	assert_string_equal(str(spec, "process", "env", 0), DEFAULT_PATH);
	assert_string_equal(str(spec, "process", "env", 1), "A=b");
	assert_string_equal(json_string_value(json_object_get(process, "cwd")), "/srv");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(process, "user"), "uid")), 7);
	assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
	assert_int_equal(json_array_size(json_object_get(json_object_get(process, "capabilities"),
							 "bounding")),
			 14);
	assert_null(json_object_get(json_object_get(process, "capabilities"), "inheritable"));
}

static void the_image_s_command_and_path_are_kept(void **state)
{
	struct qbx_err err;
	json_auto_t *spec =
		make("{\"qbx\":1,\"id\":\"a\",\"fs\":{\"process\":{\"args\":[\"/init\"],"
		     "\"env\":[\"PATH=/opt\"]}}}",
		     NULL, 0, &err);

	(void)state;
	assert_string_equal(str(spec, "process", "args", 0), "/init");
	assert_string_equal(str(spec, "process", "env", 0), "PATH=/opt");
	assert_null(str(spec, "process", "env", 1));
}

static void a_given_specification_is_kept_but_for_root_and_command(void **state)
{
	static const char *const args[] = { "id" };
	struct qbx_err err;
	json_auto_t *spec =
		make("{\"qbx\":1,\"id\":\"a\",\"spec\":{\"hostname\":\"h\",\"root\":"
		     "{\"path\":\"/host\",\"readonly\":true},\"process\":{\"cwd\":\"/\"}}}",
		     args, 1, &err);
	const json_t *root = json_object_get(spec, "root");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(spec, "hostname")), "h");
	assert_string_equal(json_string_value(json_object_get(root, "path")), "rootfs");
	assert_true(json_is_true(json_object_get(root, "readonly")));
	assert_string_equal(str(spec, "process", "args", 0), "id");
	assert_null(json_object_get(spec, "mounts"));
}

static void what_cannot_run_is_said(void **state)
{
	static const struct {
		const char *doc;
		int code;
		const char *says;
	} bad[] = {
		{ "{\"qbx\":1,\"id\":\"a\"}", EX_USAGE, "no command" },
		{ "{\"qbx\":1,\"id\":\"a\",\"spec\":{}}", EX_DATAERR, "process" },
		{ "{\"qbx\":1,\"id\":\"a\",\"bundle\":\"b\"}", EX_DATAERR, "absolute" },
		{ "{\"qbx\":1,\"id\":\"a\",\"bundle\":\"/no/such\"}", EX_UNAVAILABLE, "/no/such" },
		{ "{\"qbx\":1,\"id\":\"a\",\"spec\":{\"process\":{\"args\":[7]}}}", EX_USAGE,
		  "no command" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err;

		assert_null(make(bad[i].doc, NULL, 0, &err));
		assert_int_equal(err.code, bad[i].code);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
	}
}

static void hooks_of_the_host_are_not_run(void **state)
{
	static const char *const kinds[] = { "prestart", "createRuntime", "poststart", "poststop" };
	json_auto_t *fine = json_loads(
		"{\"hooks\":{\"poststop\":[],\"createContainer\":[{\"path\":\"/a\"}]}}", 0, NULL);
	struct qbx_err err = { 0 };

	(void)state;
	assert_int_equal(spec_no_hooks(fine, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		json_auto_t *spec = json_pack("{s:{s:[{s:s}]}}", "hooks", kinds[i], "path", "/a");

		memset(&err, 0, sizeof(err));
		assert_int_equal(spec_no_hooks(spec, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		assert_non_null(strstr(err.msg, kinds[i]));
	}
}

static void an_argument_must_be_utf8(void **state)
{
	static const char *const args[] = { "a", "\xff" };
	struct qbx_err err;

	(void)state;
	assert_null(make("{\"qbx\":1,\"id\":\"a\"}", args, 2, &err));
	assert_non_null(strstr(err.msg, "argument 2"));
}

static void a_cpu_shows_its_virtualisation_as_a_word(void **state)
{
	(void)state;
	assert_true(accel_cpu_virtualises("processor: 0\nflags\t\t: fpu vmx sse\nx: y\n"));
	assert_true(accel_cpu_virtualises("processor: 0\nflags\t\t: fpu svm"));
	assert_false(
		accel_cpu_virtualises("processor: 0\nflags\t\t: fpu vmx_only ssvm\nbugs: vmx\n"));
	assert_false(accel_cpu_virtualises("processor: 0\nvmx flags : vmx\n"));
	assert_false(accel_cpu_virtualises(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_is_a_container_with_the_image_s_process),
		cmocka_unit_test(the_image_s_command_and_path_are_kept),
		cmocka_unit_test(a_given_specification_is_kept_but_for_root_and_command),
		cmocka_unit_test(what_cannot_run_is_said),
		cmocka_unit_test(hooks_of_the_host_are_not_run),
		cmocka_unit_test(an_argument_must_be_utf8),
		cmocka_unit_test(a_cpu_shows_its_virtualisation_as_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
