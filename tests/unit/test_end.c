/* SPDX-License-Identifier: Apache-2.0 */
/* What ended a VM, by what is left to see */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "end.h"
#include "io.h"

#define PANIC                                                                              \
	"[1] RIP: x\n[2] Kernel panic - not syncing: Fatal exception\n[3] Kernel Offset: " \
	"disabled\n"

static void each_end_has_its_reason(void **state)
{
	static const struct {
		int status;
		const char *shutdown, *console, *name, *says;
	} ends[] = {
		{ 0, "guest-reset", PANIC, "panic", "kernel panicked" },
		{ 0, "guest-panic", "", "panic", "kernel panicked" },
		{ 0, "guest-reset", "[1] some line\n", "reset", "triple fault" },
		{ 0, "guest-reset", "[9] reboot: Restarting system\n", "poweroff", "powered off" },
		{ 0, "guest-shutdown", "", "poweroff", "powered off" },
		{ 0, "host-qmp-quit", PANIC, "quit", "(host-qmp-quit)" },
		{ 0, "", PANIC, "panic", "kernel panicked" },
		{ 139, "", "", "crash", "signal 11 (SIGSEGV)" },
		{ 128 + 31, "", "", "crash", "signal 31 (SIGSYS)" },
		{ 137, "guest-reset", "", "killed", "signal 9 (SIGKILL)" },
		{ 3, "", "", "failed", "status 3" },
		{ -1, "", PANIC, "unknown", "not known how" },
		{ -1, "guest-reset", PANIC, "panic", "kernel panicked" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct end e = { .status = ends[i].status };
		struct qbx_err err = { 0 };

		snprintf(e.shutdown, sizeof(e.shutdown), "%s", ends[i].shutdown);
		snprintf(e.console, sizeof(e.console), "%s", ends[i].console);
		end_judge(&e);
		assert_string_equal(end_name(e.reason), ends[i].name);
		assert_int_equal(end_say(&e, &err), -1);
		if (!strstr(err.msg, ends[i].says))
			fail_msg("\"%s\" is not in: %s", ends[i].says, err.msg);
	}
}

static void it_is_read_in_the_directory_and_cleaned(void **state)
{
	char dir[] = "/tmp/qbx-end-XXXXXX", console[40 * 16 + 1] = "";
	struct qbx_err err = { 0 };
	struct end e;
	json_auto_t *j = NULL;
	json_t *lines;
	int dirfd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 40; i++)
		snprintf(console + strlen(console), 17, "\033[2J\xff\xc2\x9b line%d\n\n", i);
	assert_int_equal(io_write_file(dirfd, "console.log", 0600, console, strlen(console), &err),
			 0);
	assert_int_equal(io_write_file(dirfd, "qemu.log", 0600, "qemu: \x80no\n", 10, &err), 0);
	end_look(&e, dirfd, 1, "\xff\n");
	assert_int_equal(end_say(&e, &err), -1);
	assert_string_equal(err.msg, "QEMU failed with status 1: qemu: ?no");
	assert_string_equal(err.hint, "the guest's last words:  [2J??? line39");
	j = end_to_json(&e);
	assert_string_equal(json_string_value(json_object_get(j, "reason")), "failed");
	assert_int_equal(json_integer_value(json_object_get(j, "status")), 1);
	assert_null(json_object_get(j, "signal"));
	lines = json_object_get(j, "console");
	assert_int_equal(json_array_size(lines), END_LINES_MAX);
	assert_string_equal(json_string_value(json_array_get(lines, END_LINES_MAX - 1)),
			    " [2J??? line39");
	close(dirfd);
	assert_int_equal(io_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void the_panic_is_quoted(void **state)
{
	struct end e = { .console = PANIC };
	struct qbx_err err = { 0 };

	(void)state;
	end_judge(&e);
	assert_int_equal(end_say(&e, &err), -1);
	assert_string_equal(err.hint,
			    "the guest's last words: Kernel panic - not syncing: Fatal exception");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_has_its_reason),
		cmocka_unit_test(it_is_read_in_the_directory_and_cleaned),
		cmocka_unit_test(the_panic_is_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
