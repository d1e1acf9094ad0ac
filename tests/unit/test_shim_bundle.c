/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a bundle: what a VM cannot give is refused, by name. */
#include "unit.h"

#include "qbx-shim/bundle.c"

static char dir[64];
static char netns[64]; /* of the last one that was read */
static bool none;

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_shim_bundle.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	return io_remove_tree(AT_FDCWD, dir, &err);
}

/* Return: bundle_read_spec() and bundle_network() of a config.json with this text. */
static int read_spec(const char *config, size_t size, struct qbx_err *err)
{
	_cleanup_free_ char *text = NULL;
	char path[96];
	size_t len = 0;

	memset(err, 0, sizeof(*err));
	snprintf(path, sizeof(path), "%s/config.json", dir);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, config, size, err), 0);
	json_auto_t *spec = bundle_read_spec(dir, &text, &len, err);
	struct bundle_network net = { 0 };

	if (!spec) {
		assert_null(text);
		return -1;
	}
	assert_int_equal(len, size);
	assert_memory_equal(text, config, size);
	if (bundle_network(spec, &net, err) < 0)
		return -1;
	snprintf(netns, sizeof(netns), "%s", net.netns ? net.netns : "");
	none = net.none;
	return 0;
}

#define READ(config, err) read_spec(config, sizeof(config) - 1, err)

static void accepted(void **state)
{
	struct qbx_err err;

	(void)state;
	assert_int_equal(
		READ("{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\"}]}}",
		     &err),
		0);
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"\"}]},"
			      "\"process\":{\"terminal\":false}}",
			      &err),
			 0);
}

static void networks(void **state)
{
	struct qbx_err err;

	(void)state;
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]}}", &err), 0);
	assert_string_equal(netns, "");
	assert_false(none);
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"network\",\"path\":\"/proc/"
			      "1/ns/net\"}]}}",
			      &err),
			 0);
	assert_string_equal(netns, "/proc/1/ns/net");
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]},"
			      "\"annotations\":{\"io.qemubox.net\":\"none\"}}",
			      &err),
			 0);
	assert_true(none);
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"network\"}]},"
			      "\"annotations\":{\"io.qemubox.net\":\"host\"}}",
			      &err),
			 -1);
	assert_int_equal(err.code, EX_DATAERR);
}

/* Return: bundle_writable() of a specification; the document is in @to, as text. */
static int writable(const char *text, char *to, struct qbx_err *err)
{
	json_auto_t *spec = json_loads(text, 0, NULL), *doc = json_object();
	int ret;

	memset(err, 0, sizeof(*err));
	assert_non_null(spec);
	ret = bundle_writable(spec, doc, err);
	to[json_dumpb(doc, to, 100, JSON_COMPACT | JSON_SORT_KEYS)] = '\0';
	return ret;
}

#define ANNOTATION(name, value) "\"annotations\":{\"io.qemubox.fs." name "\":" value "}"

static void what_the_container_writes(void **state)
{
	static const struct {
		const char *spec, *doc;
	} good[] = {
		{ "{}", "{}" },
		{ "{\"root\":{\"readonly\":false}}", "{}" },
		{ "{\"root\":{\"readonly\":true}}", "{\"writable\":\"tmpfs\"}" },
		{ "{\"root\":{\"readonly\":true}," ANNOTATION("writable", "\"disk\"") "}",
		  "{\"writable\":\"disk\"}" },
		{ "{" ANNOTATION("writable", "\"tmpfs\"") "}", "{\"writable\":\"tmpfs\"}" },
		{ "{" ANNOTATION("writable-mib", "\"100\"") "}", "{\"writable_mib\":100}" },
		{ "{" ANNOTATION("commit", "\"true\"") "}", "{\"commit\":true}" },
		{ "{" ANNOTATION("commit", "\"false\"") "}", "{}" },
	};
	static const char *const bad[] = {
		"{" ANNOTATION("writable", "\"zfs\"") "}",
		"{" ANNOTATION("writable", "1") "}",
		"{" ANNOTATION("commit", "true") "}",
		"{" ANNOTATION("commit", "\"yes\"") "}",
		"{" ANNOTATION("writable-mib", "100") "}",
		"{" ANNOTATION("writable-mib", "\"\"") "}",
		"{" ANNOTATION("writable-mib", "\"-1\"") "}",
		"{" ANNOTATION("writable-mib", "\"10G\"") "}",
		"{" ANNOTATION("writable-mib", "\"1000000000\"") "}",
	};
	struct qbx_err err;
	char doc[101];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(writable(good[i].spec, doc, &err), 0);
		assert_string_equal(doc, good[i].doc);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(writable(bad[i], doc, &err), -1);
		assert_int_equal(err.code, EX_DATAERR);
		assert_non_null(strstr(err.msg, "annotation io.qemubox.fs."));
	}
}

static void refused(void **state)
{
	struct qbx_err err;

	(void)state;
	assert_int_equal(READ("{}", &err), -1);
	assert_int_equal(err.sys, ENOTSUP);
	assert_non_null(strstr(err.msg, "no network namespace"));
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[{\"type\":\"pid\"}]}}", &err), -1);
	assert_non_null(strstr(err.msg, "no network namespace"));
}

static void broken(void **state)
{
	struct qbx_err err;
	char *large = malloc(BUNDLE_SPEC_MAX + 1);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(READ("{\"linux\":7", &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	assert_int_equal(READ("{\"linux\":7}", &err), -1);
	assert_int_equal(READ("{\"linux\":{\"namespaces\":[[],{\"type\":1}]}}", &err), -1);
	assert_non_null(large);
	memset(large, ' ', BUNDLE_SPEC_MAX + 1);
	assert_int_equal(read_spec(large, BUNDLE_SPEC_MAX + 1, &err), -1);
	assert_non_null(strstr(err.msg, "more than"));
	free(large);
	assert_null(bundle_read_spec("/no/such/bundle", &text, &len, &err));
	assert_int_equal(err.sys, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accepted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(networks, set_up, tear_down),
		cmocka_unit_test(what_the_container_writes),
		cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
