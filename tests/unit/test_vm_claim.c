/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that boxes hold: fifty boxes at once, and what boxes that are gone have left. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "qbx-vm/claim.c"

#define BOXES 50
#define FIRST 70000u

static const struct claim_range range = { "uid", FIRST, BOXES + 10 };

struct fixture {
	char run[40];
	struct config cfg;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->run, "/tmp/qbx-claim-XXXXXX");
	f->cfg.run_dir = mkdtemp(f->run);
	return 0;
}

/* Nothing is left, not even the directories. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rmdir(f->run), 0);
	free(f);
	return 0;
}

static const char *key_of(int i)
{
	static char key[BOX_KEY_MAX];

	snprintf(key, sizeof(key), "%s--box%d", i % 2 ? "default" : "other", i / 2);
	return key;
}

static void box_dir(const struct fixture *f, int i, bool there)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->run, key_of(i));
	assert_int_equal(there ? mkdir(path, 0700) : rmdir(path), 0);
}

static unsigned take_one(const struct fixture *f, int i)
{
	struct qbx_err err = { 0 };
	unsigned n = 0;

	if (claim_take(&f->cfg, &range, key_of(i), NULL, NULL, &n, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

static void release_one(const struct fixture *f, int i)
{
	struct qbx_err err = { 0 };

	if (claim_release(&f->cfg, "uid", key_of(i), &err) < 0)
		fail_msg("%s", err.msg);
}

/* Every box in a process of its own, all of them let go at once; @rounds times taken and released. */
static void race(const struct fixture *f, int rounds, unsigned got[BOXES])
{
	int gate[2], out[2];
	pid_t pids[BOXES];
	char byte;

	assert_int_equal(pipe(gate), 0);
	assert_int_equal(pipe(out), 0);
	for (int i = 0; i < BOXES; i++) {
		unsigned mine[2] = { (unsigned)i, 0 };

		pids[i] = fork();
		if (pids[i] > 0)
			continue;
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 0)
			_exit(1);
		mine[1] = take_one(f, i);
		for (int r = 1; r < rounds; r++) {
			release_one(f, i);
			mine[1] = take_one(f, i);
		}
		_exit(write(out[1], mine, sizeof(mine)) != sizeof(mine));
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < BOXES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < BOXES; i++) {
		unsigned theirs[2];

		assert_int_equal(read(out[0], theirs, sizeof(theirs)), sizeof(theirs));
		got[theirs[0]] = theirs[1];
	}
	close(out[0]);
	close(out[1]);
}

static void all_differ(const unsigned got[BOXES])
{
	bool seen[BOXES + 10] = { false };

	for (int i = 0; i < BOXES; i++) {
		assert_in_range(got[i], range.first, range.first + range.count - 1);
		assert_false(seen[got[i] - range.first]);
		seen[got[i] - range.first] = true;
	}
}

static void fifty_at_once_get_fifty_numbers(void **state)
{
	struct fixture *f = *state;
	unsigned got[BOXES];

	for (int i = 0; i < BOXES; i++)
		box_dir(f, i, true);
	race(f, 1, got);
	all_differ(got);
	race(f, 20, got); /* with the directory going and coming in between */
	all_differ(got);
	for (int i = 0; i < BOXES; i++) {
		release_one(f, i);
		box_dir(f, i, false);
	}
}

static void boxes_that_are_gone_hold_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned got[BOXES];

	for (int i = 0; i < BOXES; i++)
		box_dir(f, i, true);
	race(f, 1, got);
	/* Half of them go without a word: what is left of the range is too small for as many others. */
	for (int i = 0; i < BOXES; i += 2)
		box_dir(f, i, false);
	for (int i = BOXES; i < 2 * BOXES; i += 2) {
		box_dir(f, i, true);
		got[i - BOXES] = take_one(f, i);
	}
	all_differ(got);
	for (int i = 1; i < BOXES; i += 2) {
		release_one(f, i);
		box_dir(f, i, false);
	}
	for (int i = BOXES; i < 2 * BOXES; i += 2) {
		release_one(f, i);
		box_dir(f, i, false);
	}
}

static void a_full_range_is_an_error_that_names_it(void **state)
{
	static const struct claim_range one = { "uid", FIRST, 1 };
	struct fixture *f = *state;
	struct qbx_err err = { 0 };
	unsigned n = 0;

	box_dir(f, 0, true);
	box_dir(f, 1, true);
	assert_int_equal(claim_take(&f->cfg, &one, key_of(0), NULL, NULL, &n, &err), 0);
	assert_int_equal(claim_take(&f->cfg, &one, key_of(1), NULL, NULL, &n, &err), -1);
	assert_int_equal(err.code, EX_TEMPFAIL);
	assert_non_null(strstr(err.msg, "none of the 1 uids from 70000"));
	/* The same box again: a start that was killed had it. */
	assert_int_equal(claim_take(&f->cfg, &one, key_of(0), NULL, NULL, &n, &err), 0);
	release_one(f, 0);
	release_one(f, 0);
	box_dir(f, 0, false);
	box_dir(f, 1, false);
}

/* Somebody else has the even numbers. */
static int odd_ones(void *arg, unsigned number)
{
	int *error = arg;

	errno = number % 2 ? *error : EADDRINUSE;
	return errno ? -1 : 0;
}

static void what_others_use_is_passed_over(void **state)
{
	static const struct claim_range cids = { "cid", 4, 10 };
	struct fixture *f = *state;
	struct qbx_err err = { 0 };
	int error = 0;
	unsigned n = 0;

	box_dir(f, 0, true);
	box_dir(f, 1, true);
	assert_int_equal(claim_take(&f->cfg, &cids, key_of(0), odd_ones, &error, &n, &err), 0);
	assert_int_equal(n, 5);
	assert_int_equal(claim_take(&f->cfg, &cids, key_of(1), odd_ones, &error, &n, &err), 0);
	assert_int_equal(n, 7);
	error = EPERM;
	assert_int_equal(claim_take(&f->cfg, &cids, key_of(1), odd_ones, &error, &n, &err), -1);
	assert_int_equal(err.sys, EPERM);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(claim_release(&f->cfg, "cid", key_of(i), &err), 0);
		box_dir(f, i, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fifty_at_once_get_fifty_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(boxes_that_are_gone_hold_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_range_is_an_error_that_names_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_others_use_is_passed_over, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
