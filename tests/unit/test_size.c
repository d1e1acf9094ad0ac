/* SPDX-License-Identifier: Apache-2.0 */
/* how large a VM gets, from what its specification, the configuration and the host say */
#include "unit.h"

#include "lib/size.c"

/* A host with 8 processors and 16 GiB less what the kernel keeps. */
static struct limits host(void)
{
	struct limits l = {
		.config = { .memory_mib = 512 },
		.host = { .cpus = 8, .memory_mib = 16000, .available_mib = 9000 },
	};

	return l;
}

static struct size made(const struct limits *l)
{
	struct size s = { 0 };
	struct qbx_err err = { 0 };

	if (size_make(l, &s, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void processors(struct limits l, unsigned vcpus, unsigned vcpus_max)
{
	struct size s = made(&l);

	if (s.vcpus != vcpus || s.vcpus_max != vcpus_max)
		fail_msg("%u to %u processors, not %u to %u", s.vcpus, s.vcpus_max, vcpus,
			 vcpus_max);
}

static void memory(struct limits l, unsigned mib, unsigned max)
{
	struct size s = made(&l);

	if (s.memory_mib != mib || s.memory_max_mib != max)
		fail_msg("%u to %u MiB, not %u to %u", s.memory_mib, s.memory_max_mib, mib, max);
}

static void without_limits_it_is_the_default(void **state)
{
	struct limits l = host();
	struct size s = made(&l);

	(void)state;
	processors(l, 1, 8);
	memory(l, 512, 512);
	assert_int_equal(s.machine, MACHINE_MICROVM);
	assert_int_equal(s.cpu_quota_us, 0);
}

static void processors_follow_quota_and_cpuset(void **state)
{
	struct limits l = host();

	(void)state;
	l.cpu_period_us = 100000;
	l.cpu_quota_us = 50000;
	processors(l, 1, 1);
	l.cpu_quota_us = 100000;
	processors(l, 1, 1);
	l.cpu_quota_us = 100001;
	processors(l, 2, 2);
	l.cpuset = 1;
	processors(l, 1, 1); /* the lesser */
	l.cpu_quota_us = 0;
	l.cpuset = 3;
	processors(l, 3, 3);
	l.cpu_quota_us = INT64_MAX;
	l.cpuset = 0;
	processors(l, 8, 8); /* no more than the host has */
	assert_true(made(&l).cpu_quota_us == INT64_MAX);
	assert_int_equal(made(&l).cpu_period_us, 100000);
}

static void a_sandbox_s_shares_are_a_request_and_no_limit(void **state)
{
	struct limits l = host();

	(void)state;
	l.cpu_shares = 2;
	processors(l, 1, 8);
	l.cpu_shares = 1025;
	processors(l, 2, 8);
	l.cpu_quota_us = 300000;
	l.cpu_period_us = 100000;
	processors(l, 3, 3);
}

static void annotations_and_configuration_bound_processors(void **state)
{
	struct limits l = host();

	(void)state;
	l.config.vcpus_max = 4;
	processors(l, 1, 4);
	l.vcpus = 2;
	processors(l, 2, 4);
	l.vcpus_max = 3;
	processors(l, 2, 3);
	l.vcpus_max = 1;
	processors(l, 1, 1);
	l.vcpus = l.vcpus_max = 60;
	processors(l, 4, 4);
	l.config.vcpus_max = 16; /* more than the host has: it was said */
	processors(l, 16, 16);
	l.vcpus = l.vcpus_max = 0;
	processors(l, 1, 8);
	l.vcpus = 10;
	processors(l, 10, 10);
	l.config.vcpus_max = 0;
	l.vcpus = 0;
	l.host.cpus = 200;
	processors(l, 1, 64);
}

static void memory_is_the_limit_and_the_guest_in_whole_steps(void **state)
{
	static const struct {
		uint64_t limit;
		unsigned mib;
	} cases[] = {
		{ 1, 128 },
		{ 58 * MIB, 128 },     /* 58 + 66 + 2 */
		{ 60 * MIB, 128 },     /* 60 + 66 + 2 */
		{ 60 * MIB + 1, 256 }, /* one byte is a MiB */
		{ 300 * MIB, 384 },
		{ 512 * MIB, 640 },
		{ 1024 * MIB, 1152 },
		{ 8192 * MIB, 8448 }, /* 8192 + 66 + 132 */
	};
	struct limits l = host();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		l.memory_bytes = cases[i].limit;
		memory(l, cases[i].mib, cases[i].mib);
	}
	l.host.cpus = 64; /* each may be there: 14 MiB more */
	l.memory_bytes = 60 * MIB;
	memory(l, 256, 256);
}

static void q35_begins_small_and_may_grow(void **state)
{
	struct limits l = host();

	(void)state;
	l.machine = MACHINE_Q35;
	memory(l, 512, 512);
	l.memory_bytes = 300 * MIB;
	memory(l, 384, 384);
	l.memory_bytes = 2048 * MIB;
	memory(l, 512, 2176);
	l.memory_bytes = 8192 * MIB;
	memory(l, 1152, 8448); /* an eighth */
	l.memory_bytes = 0;
	l.config.memory_max_mib = 2000;
	memory(l, 512, 2048);
	l.config.memory_max_mib = 100;
	memory(l, 512, 512);
	l.config.memory_max_mib = 1u << 20; /* as far as the host goes, in whole steps */
	memory(l, 2048, 16000);
	l.host.memory_mib = 16001;
	memory(l, 2048, 16000);
	l.machine = MACHINE_MICROVM;
	memory(l, 512, 512);
}

static void an_annotation_says_what_memory_to_begin_with(void **state)
{
	struct limits l = host();

	(void)state;
	l.memory_mib = 700;
	memory(l, 768, 768);
	l.memory_bytes = 2048 * MIB;
	memory(l, 768, 768); /* on microvm that is all there will be */
	l.machine = MACHINE_Q35;
	memory(l, 768, 2176);
	l.memory_mib = 4000;
	memory(l, 4096, 4096);
}

static void what_the_host_has_not_is_refused(void **state)
{
	struct limits l = host();
	struct size s = { 0 };
	struct qbx_err err = { 0 };

	(void)state;
	for (int q35 = 0; q35 < 2; q35++) {
		l.machine = q35 ? MACHINE_Q35 : MACHINE_MICROVM;
		l.memory_bytes = 16000 * MIB;
		assert_int_equal(size_make(&l, &s, NULL, &err), -1);
		assert_int_equal(err.code, EX_UNAVAILABLE);
		assert_non_null(strstr(err.msg, "16384 MiB"));
		assert_non_null(strstr(err.msg, "16000 MiB, 9000"));
		assert_non_null(strstr(err.hint, "--explain"));
		l.memory_bytes = INT64_MAX;
		assert_int_equal(size_make(&l, &s, NULL, &err), -1);
		l.memory_bytes = 0;
		l.memory_mib = 1u << 20;
		assert_int_equal(size_make(&l, &s, NULL, &err), -1);
		l.memory_mib = 0;
	}
	l.memory_bytes = 10000 * MIB; /* not available right now, but it is there */
	memory(l, 1280, 10240);
}

static void each_step_is_told(void **state)
{
	static const char *const words[] = {
		"machine ",	  "cpu quota ",	  "vcpus_max ",	 "vcpus ",	    "memory limit ",
		"memory needed ", "host memory ", "memory_mib ", "memory_max_mib ",
	};
	struct limits l = host();
	struct size s = { 0 };
	struct qbx_err err = { 0 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	l.memory_bytes = 300 * MIB;
	l.cpu_quota_us = 150000;
	l.cpu_period_us = 100000;
	assert_int_equal(size_make(&l, &s, f, &err), 0);
	fclose(f);
	for (const char *line = text, *end; *line; line = end + 1) {
		size_t i;

		end = strchr(line, '\n');
		assert_non_null(end);
		for (i = 0; i < ARRAY_SIZE(words); i++)
			if (!strncmp(line, words[i], strlen(words[i])))
				break;
		assert_true(i < ARRAY_SIZE(words));
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_non_null(strstr(text, words[i]));
}

static int read_text(const char *text, struct limits *l, struct qbx_err *err)
{
	json_auto_t *spec = json_loads(text, 0, NULL);

	assert_non_null(spec);
	memset(l, 0, sizeof(*l));
	memset(err, 0, sizeof(*err));
	return limits_read(l, spec, err);
}

static void a_specification_is_read(void **state)
{
	struct qbx_err err;
	struct limits l;

	(void)state;
	assert_int_equal(read_text("{\"linux\":{\"resources\":{\"memory\":{\"limit\":314572800},"
				   "\"cpu\":{\"quota\":150000,\"period\":50000,\"shares\":4096,"
				   "\"cpus\":\"0-3,8\"}}}}",
				   &l, &err),
			 0);
	assert_int_equal(l.memory_bytes, 314572800);
	assert_int_equal(l.cpu_quota_us, 150000);
	assert_int_equal(l.cpu_period_us, 50000);
	assert_int_equal(l.cpuset, 5);
	assert_int_equal(l.cpu_shares, 0); /* a weight, where it is not a sandbox's */
	assert_int_equal(read_text("{\"linux\":{\"resources\":{\"memory\":{\"limit\":-1},\"cpu\":"
				   "{\"quota\":-1,\"period\":7,\"cpus\":\"\"}}}}",
				   &l, &err),
			 0);
	assert_int_equal(l.memory_bytes, 0);
	assert_int_equal(l.cpu_quota_us, 0);
	assert_int_equal(l.cpu_period_us, 0);
	assert_int_equal(l.cpuset, 0);
	assert_int_equal(
		read_text("{\"linux\":{\"resources\":{\"cpu\":{\"quota\":5000}}}}", &l, &err), 0);
	assert_int_equal(l.cpu_period_us, 100000);
	assert_int_equal(limits_read(&l, NULL, &err), 0);
}

static void a_sandbox_is_as_large_as_its_containers(void **state)
{
	struct qbx_err err;
	struct limits l;

	(void)state;
	assert_int_equal(read_text("{\"annotations\":{\"io.kubernetes.cri.container-type\":"
				   "\"sandbox\",\"io.kubernetes.cri.sandbox-memory\":\"268435456\","
				   "\"io.kubernetes.cri.sandbox-cpu-quota\":\"150000\","
				   "\"io.kubernetes.cri.sandbox-cpu-period\":\"100000\","
				   "\"io.kubernetes.cri.sandbox-cpu-shares\":\"512\"},"
				   "\"linux\":{\"resources\":{\"memory\":{\"limit\":4096},"
				   "\"cpu\":{\"shares\":2}}}}",
				   &l, &err),
			 0);
	assert_int_equal(l.memory_bytes, 268435456);
	assert_int_equal(l.cpu_quota_us, 150000);
	assert_int_equal(l.cpu_period_us, 100000);
	assert_int_equal(l.cpu_shares, 512);
	/* what the CRI does not know is 0, and what the container has counts */
	assert_int_equal(read_text("{\"annotations\":{\"io.kubernetes.cri.sandbox-memory\":\"0\","
				   "\"io.kubernetes.cri.sandbox-cpu-quota\":\"-1\","
				   "\"io.kubernetes.cri.sandbox-cpu-shares\":"
				   "\"999999999999999999\"},"
				   "\"linux\":{\"resources\":{\"memory\":{\"limit\":4096}}}}",
				   &l, &err),
			 0);
	assert_int_equal(l.memory_bytes, 4096);
	assert_int_equal(l.cpu_quota_us, 0);
	assert_int_equal(l.cpu_shares, 1 << 18);
}

static void our_annotations_are_read(void **state)
{
	struct qbx_err err;
	struct limits l;

	(void)state;
	assert_int_equal(read_text("{\"annotations\":{\"io.qemubox.vcpus\":\"2\","
				   "\"io.qemubox.vcpus-max\":\"64\",\"io.qemubox.memory-mib\":"
				   "\"700\",\"io.qemubox.machine\":\"q35\",\"org.x\":\"y\","
				   "\"io.qemubox.fs.writable\":\"disk\",\"io.qemubox.fs.commit\":\"true\","
				   "\"io.qemubox.fs.writable-mib\":\"100\"}}",
				   &l, &err),
			 0);
	assert_int_equal(l.vcpus, 2);
	assert_int_equal(l.vcpus_max, 64);
	assert_int_equal(l.memory_mib, 700);
	assert_int_equal(l.machine, MACHINE_Q35);
}

#define RESOURCES(text) "{\"linux\":{\"resources\":{" text "}}}"
#define ANNOTATION(name, value) "{\"annotations\":{\"" name "\":" value "}}"

static void malformed_values_are_refused_by_name(void **state)
{
	static const struct {
		const char *spec, *says;
	} bad[] = {
		{ RESOURCES("\"memory\":{\"limit\":\"1G\"}"), "linux.resources.memory.limit" },
		{ RESOURCES("\"memory\":{\"limit\":1.5}"), "linux.resources.memory.limit" },
		{ RESOURCES("\"cpu\":{\"quota\":true}"), "linux.resources.cpu.quota" },
		{ RESOURCES("\"cpu\":{\"period\":[]}"), "linux.resources.cpu.period" },
		{ RESOURCES("\"cpu\":{\"cpus\":3}"), "linux.resources.cpu.cpus" },
		{ RESOURCES("\"cpu\":{\"cpus\":\"0-\"}"), "cpu.cpus: \"0-\"" },
		{ RESOURCES("\"cpu\":{\"quota\":999}"), "CPU quota: 999 us" },
		{ RESOURCES("\"cpu\":{\"quota\":9999,\"period\":999}"), "CPU period: 999 us" },
		{ RESOURCES("\"cpu\":{\"quota\":9999,\"period\":1000001}"), "CPU period: 1000001" },
		{ ANNOTATION("io.kubernetes.cri.sandbox-memory", "\"1Gi\""), "sandbox-memory" },
		{ ANNOTATION("io.kubernetes.cri.sandbox-memory", "7"), "sandbox-memory" },
		{ ANNOTATION("io.kubernetes.cri.sandbox-cpu-quota", "\"\""), "sandbox-cpu-quota" },
		{ ANNOTATION("io.kubernetes.cri.sandbox-cpu-shares", "\"-\""), "-cpu-shares" },
		{ ANNOTATION("io.qemubox.vcpus", "\"0\""), "io.qemubox.vcpus: 0" },
		{ ANNOTATION("io.qemubox.vcpus", "\"-1\""), "io.qemubox.vcpus: \"-1\"" },
		{ ANNOTATION("io.qemubox.vcpus", "2"), "io.qemubox.vcpus" },
		{ ANNOTATION("io.qemubox.vcpus-max", "\"65\""), "at most 64" },
		{ ANNOTATION("io.qemubox.memory-mib", "\"9999999999999999999\""), "memory-mib" },
		{ ANNOTATION("io.qemubox.memory-mib", "\" 7\""), "memory-mib" },
		{ ANNOTATION("io.qemubox.machine", "\"pc\""), "io.qemubox.machine: " },
		{ ANNOTATION("io.qemubox.machine", "{}"), "io.qemubox.machine" },
		{ ANNOTATION("io.qemubox.fs.kind", "\"disk\""), "io.qemubox.fs.kind" },
		{ ANNOTATION("io.qemubox.kernel", "\"/etc/passwd\""), "io.qemubox.kernel" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct qbx_err err;
		struct limits l;

		if (read_text(bad[i].spec, &l, &err) == 0)
			fail_msg("taken: %s", bad[i].spec);
		assert_int_equal(err.code, EX_DATAERR);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
	}
}

static void meminfo_is_read(void **state)
{
	static const char text[] = "MemTotal:       24683520 kB\nMemFree:  1024 kB\n"
				   "MemAvailable:    2048 kB";

	(void)state;
	assert_int_equal(limits_meminfo(text, "MemTotal:"), 24105);
	assert_int_equal(limits_meminfo(text, "MemFree:"), 1);
	assert_int_equal(limits_meminfo(text, "MemAvailable:"), 2);
	assert_int_equal(limits_meminfo(text, "Swap:"), 0);
	assert_int_equal(limits_meminfo("", "MemTotal:"), 0);
}

static void an_interface_has_a_queue_a_processor(void **state)
{
	static const unsigned vcpus[] = { 1, 2, 8, 9, 64 }, queues[] = { 1, 2, 8, 8, 8 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vcpus); i++)
		assert_int_equal(size_queues(&(struct size){ .vcpus = vcpus[i], .vcpus_max = 64 }),
				 queues[i]);
}

static void the_document_s_machine_comes_before_the_annotation_s(void **state)
{
	const struct config cfg = { .machine = "microvm", .memory_mib = 512 };
	static const char *const docs[] = {
		"{\"qbx\":1,\"id\":\"a\"}",
		"{\"qbx\":1,\"id\":\"a\",\"spec\":" ANNOTATION("io.qemubox.machine", "\"q35\"") "}",
		"{\"qbx\":1,\"id\":\"a\",\"machine\":\"microvm\",\"spec\":" ANNOTATION(
			"io.qemubox.machine", "\"q35\"") "}",
		"{\"qbx\":1,\"id\":\"a\",\"machine\":\"pc\"}",
		"{\"qbx\":1,\"id\":\"a\",\"bundle\":\"/nonexistent\"}",
	};
	static const int wanted[] = { MACHINE_MICROVM, MACHINE_Q35, MACHINE_MICROVM, -1, -1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		_cleanup_(box_free) struct box box = { 0 };
		struct qbx_err err = { 0 };
		struct limits l;
		int ret;

		assert_int_equal(box_take(&box, json_loads(docs[i], 0, NULL), "test", &err), 0);
		ret = limits_make(&l, &cfg, &box, &err);
		assert_int_equal(ret < 0 ? -1 : (int)l.machine, wanted[i]);
		assert_true(ret < 0 ? err.code : l.host.cpus > 0 && l.host.memory_mib > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_limits_it_is_the_default),
		cmocka_unit_test(processors_follow_quota_and_cpuset),
		cmocka_unit_test(a_sandbox_s_shares_are_a_request_and_no_limit),
		cmocka_unit_test(annotations_and_configuration_bound_processors),
		cmocka_unit_test(memory_is_the_limit_and_the_guest_in_whole_steps),
		cmocka_unit_test(q35_begins_small_and_may_grow),
		cmocka_unit_test(an_annotation_says_what_memory_to_begin_with),
		cmocka_unit_test(what_the_host_has_not_is_refused),
		cmocka_unit_test(each_step_is_told),
		cmocka_unit_test(a_specification_is_read),
		cmocka_unit_test(a_sandbox_is_as_large_as_its_containers),
		cmocka_unit_test(our_annotations_are_read),
		cmocka_unit_test(malformed_values_are_refused_by_name),
		cmocka_unit_test(meminfo_is_read),
		cmocka_unit_test(an_interface_has_a_queue_a_processor),
		cmocka_unit_test(the_document_s_machine_comes_before_the_annotation_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
