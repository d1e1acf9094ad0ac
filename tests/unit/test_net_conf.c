/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration is taken, and which is refused. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "qbx-net/conf.c"

static char dir[] = "/tmp/qbx-conf-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	strcpy(strrchr(dir, '-'), "-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	return io_remove_tree(AT_FDCWD, dir, &err);
}

static void put(const char *file, const char *text)
{
	struct qbx_err err = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, text, strlen(text), &err), 0);
}

static int find(const char *name, struct conf *conf, struct qbx_err *err)
{
	struct config cfg = { .cni_conf_dir = dir };

	memset(err, 0, sizeof(*err));
	return conf_find(&cfg, name, conf, err);
}

#define LIST(name) \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"plugins\":[{\"type\":\"bridge\"}]}"

static void the_first_by_name_is_taken(void **state)
{
	struct qbx_err err;
	struct conf conf;

	(void)state;
	put("20-b.conflist", LIST("b"));
	put("10-a.conf", "{\"cniVersion\":\"0.3.1\",\"name\":\"a\",\"type\":\"ptp\",\"mtu\":9}");
	put("00-not-me.txt", "{");
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_string_equal(conf.name, "a");
	assert_string_equal(conf.version, "0.3.1");
	assert_int_equal(conf_count(&conf), 1);
	assert_string_equal(conf_type(&conf, 0), "ptp");
	conf_free(&conf);
}

static void a_network_is_found_by_name_past_broken_files(void **state)
{
	struct qbx_err err;
	struct conf conf;

	(void)state;
	log_open("test", LOG_LEVEL_ERROR, STDERR_FILENO);
	put("10-broken.conflist", "{");
	put("20-b.conflist", LIST("b"));
	assert_int_equal(find("b", &conf, &err), 0);
	assert_string_equal(conf.name, "b");
	conf_free(&conf);
	assert_int_equal(find("c", &conf, &err), -1);
	assert_int_equal(err.code, EX_CONFIG);
	assert_non_null(strstr(err.msg, "no CNI network \"c\""));
}

static void none_is_no_error(void **state)
{
	struct config cfg = { .cni_conf_dir = "/nonexistent/net.d" };
	struct qbx_err err;
	struct conf conf;

	(void)state;
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_null(conf.list);
	assert_int_equal(conf_find(&cfg, NULL, &conf, &err), 0);
	assert_null(conf.list);
	assert_int_equal(conf_find(&cfg, "x", &conf, &err), -1);
}

static void bad_ones_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{", "not valid JSON" },
		{ "[]", "a JSON object" },
		{ "{}", "no \"name\"" },
		{ "{\"name\":\"a\",\"name\":\"b\"}", "duplicate" },
		{ "{\"name\":\"../a\",\"plugins\":[]}", "no \"name\"" },
		{ "{\"name\":\"a\",\"plugins\":[]}", "array of 1 to 32" },
		{ "{\"name\":\"a\",\"plugins\":{}}", "array of 1 to 32" },
		{ "{\"name\":\"a\",\"plugins\":[{\"type\":\"../sh\"}]}",
		  "plugin 1 has no \"type\"" },
		{ "{\"name\":\"a\",\"plugins\":[7]}", "plugin 1 has no \"type\"" },
		{ "{\"name\":\"a\",\"plugins\":[{\"type\":\"b\"}]}", "\"cniVersion\" (missing)" },
		{ "{\"name\":\"a\",\"cniVersion\":\"0.2.0\",\"plugins\":[{\"type\":\"b\"}]}",
		  "0.2.0" },
	};
	struct qbx_err err;
	struct conf conf;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put("x.conflist", bad[i].text);
		assert_int_equal(find(NULL, &conf, &err), -1);
		assert_int_equal(err.code, EX_CONFIG);
		assert_non_null(strstr(err.msg, "/x.conflist: "));
		assert_non_null(strstr(err.msg, bad[i].says));
	}
}

static void the_best_version_is_spoken(void **state)
{
	struct qbx_err err;
	struct conf conf;

	(void)state;
	put("x.conflist",
	    "{\"cniVersion\":\"0.4.0\",\"cniVersions\":[\"1.1.0\",\"1.0.0\",\"9.0.0\",3],"
	    "\"name\":\"a\",\"plugins\":[{\"type\":\"b\"}]}");
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_string_equal(conf.version, "1.1.0");
	assert_int_equal(conf.versions, conf_version_bit("0.4.0") | conf_version_bit("1.0.0") |
						conf_version_bit("1.1.0"));
	conf_free(&conf);
}

static void a_list_goes_on_in_the_folder_of_its_name(void **state)
{
	struct qbx_err err;
	char path[PATH_MAX];
	struct conf conf;

	(void)state;
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(io_mkdirs(path, 0700, &err), 0);
	put("a/20-z.conf", "{\"type\":\"z\"}");
	put("a/10-y.conf", "{\"type\":\"y\"}");
	put("a/00-no.json", "{");
	put("x.conflist", LIST("a"));
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_int_equal(conf_count(&conf), 3);
	assert_string_equal(conf_type(&conf, 0), "bridge");
	assert_string_equal(conf_type(&conf, 1), "y");
	assert_string_equal(conf_type(&conf, 2), "z");
	conf_free(&conf);
	put("x.conflist", "{\"cniVersion\":\"1.1.0\",\"name\":\"a\"}");
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_int_equal(conf_count(&conf), 2);
	conf_free(&conf);
	put("x.conflist",
	    "{\"cniVersion\":\"1.1.0\",\"name\":\"a\",\"loadOnlyInlinedPlugins\":true,"
	    "\"plugins\":[{\"type\":\"b\"}]}");
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_int_equal(conf_count(&conf), 1);
	conf_free(&conf);
	put("x.conflist",
	    "{\"cniVersion\":\"1.1.0\",\"name\":\"a\",\"loadOnlyInlinedPlugins\":\"True\"}");
	assert_int_equal(find(NULL, &conf, &err), -1);
	put("x.conflist", LIST("a"));
	put("a/20-z.conf", "{\"type\":\"../z\"}");
	assert_int_equal(find(NULL, &conf, &err), -1);
	assert_non_null(strstr(err.msg, "plugin 3 has no \"type\""));
	put("a/20-z.conf", "{");
	assert_int_equal(find(NULL, &conf, &err), -1);
	assert_non_null(strstr(err.msg, "/a/20-z.conf: "));
	assert_int_equal(err.code, EX_CONFIG);
	/* a single plugin's configuration has no more */
	put("x.conflist", "{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":\"b\"}");
	assert_int_equal(find(NULL, &conf, &err), 0);
	assert_int_equal(conf_count(&conf), 1);
	conf_free(&conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_by_name_is_taken, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_network_is_found_by_name_past_broken_files,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_list_goes_on_in_the_folder_of_its_name, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(none_is_no_error, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(bad_ones_are_named, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_best_version_is_spoken, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
