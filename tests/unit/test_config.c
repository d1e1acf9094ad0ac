/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <string.h>

#include "config.h"
#include "io.h"

static char path[] = "/tmp/qbx-config-XXXXXX";

/* Load with @text as the configuration file. */
static int load(const char *text, struct config *cfg, struct qbx_err *err)
{
	memset(err, 0, sizeof(*err));
	assert_int_equal(io_write_file(AT_FDCWD, path, 0600, text, strlen(text), err), 0);
	setenv("QEMUBOX_CONFIG", path, 1);
	return config_load(cfg, err);
}

static void the_file_beats_defaults_and_variables_beat_the_file(void **state)
{
	struct qbx_err err;
	struct config cfg;

	(void)state;
	unsetenv("QEMUBOX_ACCEL");
	assert_int_equal(load("{\"accel\":\"auto\",\"log_dir\":\"/l\"}", &cfg, &err), 0);
	assert_string_equal(cfg.accel, "auto");
	assert_string_equal(cfg.log_dir, "/l");
	assert_string_equal(cfg.run_dir, "/run/qemubox");
	config_free(&cfg);
	setenv("QEMUBOX_ACCEL", "tcg", 1);
	assert_int_equal(load("{\"accel\":\"auto\"}", &cfg, &err), 0);
	assert_string_equal(cfg.accel, "tcg");
	config_free(&cfg);
	unsetenv("QEMUBOX_ACCEL");
}

static void numbers_too(void **state)
{
	struct qbx_err err;
	struct config cfg;

	(void)state;
	assert_int_equal(load("{\"memory_mib\":1024}", &cfg, &err), 0);
	assert_int_equal(cfg.memory_mib, 1024);
	assert_int_equal(cfg.vcpus_max, 0);
	config_free(&cfg);
	setenv("QEMUBOX_MEMORY_MIB", "2048", 1);
	assert_int_equal(load("{\"memory_mib\":1024}", &cfg, &err), 0);
	assert_int_equal(cfg.memory_mib, 2048);
	config_free(&cfg);
	setenv("QEMUBOX_MEMORY_MIB", "2G", 1);
	assert_int_equal(load("{}", &cfg, &err), -1);
	assert_string_equal(err.msg, "QEMUBOX_MEMORY_MIB: \"2G\" is not a whole number");
	unsetenv("QEMUBOX_MEMORY_MIB");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "{\"acel\":\"kvm\"}", "unknown key \"acel\"" },
		{ "{\"accel\":7}", "\"accel\" must be a string" },
		{ "{\"accel\":\"xen\"}", "none of kvm, tcg, auto" },
		{ "{\"accel\":\"kv\"}", "none of kvm, tcg, auto" },
		{ "{\"relax\":\"uid, files\"}",
		  "relax: \"files\" is none of uid, mounts, cgroup, seccomp" },
		{ "{\"relax\":\"uid,mount\"}", "\"mount\" is none of" },
		{ "{\"machine\":\"\"}", "none of microvm, q35" },
		{ "{\"memory_mib\":\"512\"}", "\"memory_mib\" must be a whole number" },
		{ "{\"memory_mib\":1}", "\"memory_mib\": 1 is not between 128 and 1048576" },
		{ "{\"writable\":\"disc\"}", "writable: \"disc\" is none of disk, tmpfs" },
		{ "{\"writable_mib\":63}", "63 is not between 64 and 1048576" },
		{ "{\"vcpus_max\":-1}", "\"vcpus_max\": -1 is not between" },
		{ "{", "not valid JSON" },
	};
	struct qbx_err err;
	struct config cfg;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(load(bad[i].text, &cfg, &err), -1);
		assert_int_equal(err.code, EX_CONFIG);
		assert_non_null(strstr(err.msg, bad[i].says));
	}
}

static void only_the_default_file_may_be_missing(void **state)
{
	struct qbx_err err = { 0 };
	struct config cfg;

	(void)state;
	setenv("QEMUBOX_CONFIG", "/nonexistent/config.json", 1);
	assert_int_equal(config_load(&cfg, &err), -1);
	assert_int_equal(err.code, EX_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_beats_defaults_and_variables_beat_the_file),
		cmocka_unit_test(numbers_too),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(only_the_default_file_may_be_missing),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
