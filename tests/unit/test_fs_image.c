/* SPDX-License-Identifier: Apache-2.0 */
/* the JSON of OCI images */
#include "unit.h"

#include "qbx-fs/image.c"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define REF(hex, more) "{\"digest\":\"sha256:" hex "\",\"size\":7" more "}"
#define PLATFORM(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

static int pick(const char *text, struct image_ref *ref, struct qbx_err *err)
{
	json_auto_t *j = parse(text);

	return image_pick(j, ref, err);
}

static void test_pick(void **state)
{
	struct qbx_err err = { 0 };
	struct image_ref ref = { .size = 0 };
	char text[1024];

	(void)state;
	assert_int_equal(pick("{\"manifests\":[" REF(HEX_A, "") "]}", &ref, &err), 0);
	assert_string_equal(ref.digest, HEX_A);
	assert_int_equal(ref.size, 7);
	snprintf(
		text, sizeof(text),
		"{\"manifests\":[" REF(
			HEX_A, PLATFORM("linux", "s390x")) "," REF(HEX_B,
								   ",\"platform\":{\"os\":"
								   "\"linux\",\"architecture\":\"%"
								   "s\"}") "," REF(HEX_A,
										   PLATFORM(
											   "unknow"
											   "n",
											   "unknow"
											   "n")) "]"
												 "}",
		image_arch());
	assert_int_equal(pick(text, &ref, &err), 0);
	assert_string_equal(ref.digest, HEX_B);
	assert_int_equal(
		pick("{\"manifests\":[" REF(HEX_A, PLATFORM("linux", "s390x")) "]}", &ref, &err),
		-1);
	assert_non_null(strstr(err.msg, "no image for linux/"));
	snprintf(text, sizeof(text),
		 "{\"manifests\":[{\"digest\":\"sha256:" HEX_A
		 "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}},"
		 "{\"digest\":\"sha256:" HEX_B
		 "\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		 image_arch(), image_arch());
	assert_int_equal(pick(text, &ref, &err), -1);
	assert_non_null(strstr(err.msg, "2 images"));
	assert_int_equal(pick("{\"manifests\":3}", &ref, &err), -1);
	assert_int_equal(pick("{}", &ref, &err), -1);
}

static void test_bad_refs(void **state)
{
	static const char *const refs[] = {
		"{}",
		"{\"digest\":\"sha512:" HEX_A "\",\"size\":7}",
		"{\"digest\":\"sha256:" HEX_A "a\",\"size\":7}",
		"{\"digest\":\"sha256:../../../../../../../etc/passwd\",\"size\":7}",
		"{\"digest\":\"sha256:"
		"AAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"size\":7}",
		"{\"digest\":\"sha256:" HEX_A "\",\"size\":-1}",
		"{\"digest\":\"sha256:" HEX_A "\",\"size\":\"7\"}",
		"{\"digest\":\"sha256:" HEX_A "\"}",
		"[]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		json_auto_t *j = parse(refs[i]);
		struct qbx_err err = { 0 };
		struct image_ref ref = { .size = 0 };

		assert_int_equal(image_ref_decode(j, &ref, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
	}
}

/* A configuration for this machine around @inner. */
static json_t *process(const char *inner, const char **user, struct qbx_err *err)
{
	static json_t *config; /* @user is borrowed from it */
	char text[512];

	json_decref(config);
	snprintf(text, sizeof(text), "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":%s}",
		 image_arch(), inner);
	config = parse(text);
	return image_process(config, user, err);
}

static void test_process(void **state)
{
	struct qbx_err err = { 0 };
	const char *user = NULL;
	json_auto_t *j = process("{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b\"],\"Env\":[\"X=1\"],"
				 "\"WorkingDir\":\"/w\",\"User\":\"app\"}",
				 &user, &err);
	json_auto_t *want =
		parse("{\"args\":[\"/e\",\"a\",\"b\"],\"env\":[\"X=1\"],\"cwd\":\"/w\"}");
	json_auto_t *least = NULL;

	(void)state;
	assert_true(json_equal(j, want));
	assert_string_equal(user, "app");
	least = process("{\"Cmd\":null}", &user, &err);
	assert_string_equal(json_string_value(json_object_get(least, "cwd")), "/");
	assert_string_equal(user, "");
}

static void test_bad_process(void **state)
{
	static const char *const inner[] = {
		"{\"Cmd\":\"sh\"}",	    "{\"Cmd\":[1]}",	   "{\"Env\":{}}",
		"{\"WorkingDir\":\"tmp\"}", "{\"WorkingDir\":[]}", "{\"User\":0}",
	};
	json_auto_t *other = parse("{\"os\":\"linux\",\"architecture\":\"pdp11\"}");
	struct qbx_err err = { 0 };
	const char *user = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inner); i++)
		assert_null(process(inner[i], &user, &err));
	assert_null(image_process(other, &user, &err));
	assert_non_null(strstr(err.msg, "pdp11"));
}

static void test_too_many(void **state)
{
	json_auto_t *config = json_pack("{s:s, s:s, s:{s:o}}", "os", "linux", "architecture",
					image_arch(), "config", "Env", json_array());
	json_t *env = json_object_get(json_object_get(config, "config"), "Env");
	struct qbx_err err = { 0 };
	const char *user = NULL;

	(void)state;
	for (unsigned i = 0; i <= STRINGS_MAX; i++)
		json_array_append_new(env, json_string("A=1"));
	assert_null(image_process(config, &user, &err));
	assert_non_null(strstr(err.msg, "Env is not up to"));
}

static void test_layers(void **state)
{
	json_auto_t *none = parse("{\"layers\":[]}"), *three = parse("{\"layers\":[1,2,3]}");
	json_auto_t *wrong = parse("{\"layers\":{}}");
	struct qbx_err err = { 0 };

	(void)state;
	assert_null(image_layers(none, 5, &err));
	assert_null(image_layers(wrong, 5, &err));
	assert_null(image_layers(three, 2, &err));
	assert_non_null(image_layers(three, 3, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),	 cmocka_unit_test(test_bad_refs),
		cmocka_unit_test(test_process),	 cmocka_unit_test(test_bad_process),
		cmocka_unit_test(test_too_many), cmocka_unit_test(test_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
