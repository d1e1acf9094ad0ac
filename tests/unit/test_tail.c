/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "tail.h"

static void the_last_words_are_found_and_cleaned(void **state)
{
	char dir[] = "/tmp/qbx-tail-XXXXXX", line[200], *long_text = malloc(20001);
	struct qbx_err err = { 0 };
	int dirfd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tail_line(dirfd, "absent", line, sizeof(line));
	assert_string_equal(line, "");
	assert_int_equal(io_write_file(dirfd, "f", 0600, "one\ntwo\033[0m\r\n\n", 15, &err), 0);
	tail_line(dirfd, "f", line, sizeof(line));
	assert_string_equal(line, "two [0m");
	memset(long_text, 'a', 20000);
	long_text[20000] = '\n';
	assert_int_equal(io_write_file(dirfd, "f", 0600, long_text, 20001, &err), 0);
	tail_line(dirfd, "f", line, sizeof(line));
	assert_int_equal(strlen(line), sizeof(line) - 1);
	assert_int_equal(io_write_file(dirfd, "console", 0600,
				       "[1] Kernel panic - not syncing: x\n[1] Rebooting\n", 48,
				       &err),
			 0);
	tail_panic(dirfd, "console", line, sizeof(line));
	assert_string_equal(line, "Kernel panic - not syncing: x");
	free(long_text);
	close(dirfd);
	assert_int_equal(io_remove_tree(AT_FDCWD, dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_words_are_found_and_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
