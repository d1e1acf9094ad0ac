/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "box.h"
#include "json.h"

static int take(const char *text, struct box *box, struct qbx_err *err)
{
	json_t *doc;

	memset(err, 0, sizeof(*err));
	memset(box, 0, sizeof(*box));
	doc = json_parse(text, strlen(text), "doc", err);
	return doc ? box_take(box, doc, "doc", err) : -1;
}

static void the_least_document_is_accepted(void **state)
{
	struct qbx_err err;
	struct box box;

	(void)state;
	assert_int_equal(take("{\"qbx\":1,\"id\":\"demo\",\"mine\":[1]}", &box, &err), 0);
	assert_string_equal(box.id, "demo");
	assert_string_equal(box.namespace, "default");
	assert_string_equal(box.key, "default--demo");
	assert_non_null(json_object_get(box.doc, "mine"));
	box_free(&box);
}

static void bad_documents_say_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "not valid JSON" },
		{ "[]", "a JSON object is wanted" },
		{ "{\"id\":\"a\"}", "no \"qbx\" version" },
		{ "{\"qbx\":2,\"id\":\"a\"}", "version 2" },
		{ "{\"qbx\":1}", "\"id\" is missing" },
		{ "{\"qbx\":1,\"id\":7}", "\"id\" must be a string" },
		{ "{\"qbx\":1,\"id\":\"a\",\"rootfs\":{}}", "\"rootfs\" must be an array" },
		{ "{\"qbx\":1,\"id\":\"a\",\"writable_mib\":1.5}", "must be a whole number" },
		{ "{\"qbx\":1,\"id\":\"a\",\"commit\":1}", "\"commit\" must be true or false" },
		{ "{\"qbx\":1,\"id\":\"a\",\"machine\":false}", "\"machine\" must be a string" },
		{ "{\"qbx\":1,\"id\":\"a\",\"id\":\"b\"}", "duplicate" },
		{ "{\"qbx\":1,\"id\":\"a\"} x", "end of file" },
		{ "{\"qbx\":1,\"id\":\"../x\"}", "letters and digits" },
		{ "{\"qbx\":1,\"id\":\"a--b\"}", "letters and digits" },
		{ "{\"qbx\":1,\"id\":\"a\",\"namespace\":\"\"}", "letters and digits" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err;
		struct box box;

		assert_int_equal(take(bad[i].text, &box, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("%s: got \"%s\"", bad[i].text, err.msg);
	}
}

static void names_follow_containerd(void **state)
{
	char name[BOX_NAME_MAX + 2];

	(void)state;
	assert_true(box_name_ok("a"));
	assert_true(box_name_ok("A.b_c-9"));
	assert_false(box_name_ok(""));
	assert_false(box_name_ok("-a"));
	assert_false(box_name_ok("a-"));
	assert_false(box_name_ok("a.-b"));
	assert_false(box_name_ok("a/b"));
	assert_false(box_name_ok("a\n"));
	memset(name, 'x', sizeof(name));
	name[BOX_NAME_MAX] = '\0';
	assert_true(box_name_ok(name));
	name[BOX_NAME_MAX] = 'x';
	name[BOX_NAME_MAX + 1] = '\0';
	assert_false(box_name_ok(name));
}

static void the_directory_is_private_and_goes_away(void **state)
{
	char run[] = "/tmp/qbx-test-XXXXXX";
	struct config cfg = { .run_dir = mkdtemp(run) };
	struct qbx_err err = { 0 };
	struct box box;
	struct stat st;
	int fd, lock;

	(void)state;
	assert_int_equal(take("{\"qbx\":1,\"id\":\"demo\"}", &box, &err), 0);
	assert_int_equal(box_dir_open(&cfg, &box, 0, &err), -1);
	fd = box_dir_open(&cfg, &box, 1, &err);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	lock = box_dir_lock(fd, &err);
	assert_true(lock >= 0);
	assert_int_equal(mkdirat(fd, "sub", 0700), 0);
	close(lock);
	close(fd);
	assert_int_equal(box_dir_remove(&cfg, &box, &err), 0);
	assert_int_equal(box_dir_remove(&cfg, &box, &err), 0);
	assert_int_equal(box_dir_open(&cfg, &box, 0, &err), -1);
	box_free(&box);
	rmdir(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_document_is_accepted),
		cmocka_unit_test(bad_documents_say_what_is_wrong),
		cmocka_unit_test(names_follow_containerd),
		cmocka_unit_test(the_directory_is_private_and_goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
