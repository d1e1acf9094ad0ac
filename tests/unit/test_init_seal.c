/* SPDX-License-Identifier: Apache-2.0 */
/* On /proc, which nobody can freeze; file systems that stand still are in tests/e2e/paused.bats. */
#include "unit.h"

#include <sys/wait.h>

#include "qbx-init/child.c"
#include "qbx-init/seal.c"

static unsigned shutdown_checks, told;
static struct qbx_err told_err;

void shutdown_check(struct vm *vm)
{
	shutdown_checks++;
	loop_stop(vm->loop);
}

static void on_told(void *arg, const struct qbx_err *err)
{
	struct vm *vm = arg;

	told++;
	told_err = err ? *err : (struct qbx_err){ 0 };
	if (told_err.sys != ECANCELED)
		loop_stop(vm->loop);
}

static void set_up(struct vm *vm, struct container *c)
{
	struct qbx_err err = { 0 };

	shutdown_checks = told = 0;
	*vm = (struct vm){ .loop = loop_new(&err) };
	*c = (struct container){ .vm = vm, .id = "box", .dir = "/proc" };
	assert_non_null(vm->loop);
	assert_int_equal(child_start(vm, &err), 0);
}

static void tear_down(struct vm *vm, struct container *c)
{
	loop_free(vm->loop);
	free(c->written);
	assert_null(c->seal);
	assert_int_equal(vm->sealing, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

static void note(struct container *c, const char *type, const char *target)
{
	Qemubox__Task__Mount m = QEMUBOX__TASK__MOUNT__INIT, *list[] = { &m };
	struct qbx_err err = { 0 };

	m.type = (char *)type;
	m.target = (char *)target;
	assert_int_equal(seal_note(c, list, 1, &err), 0);
}

static void what_is_in_memory_is_left_alone(void **state)
{
	struct qbx_err err = { 0 };
	struct container c;
	struct vm vm;

	(void)state;
	set_up(&vm, &c);
	note(&c, "tmpfs", "sys");
	assert_int_equal(seal_begin(&c, on_told, &vm, &err), 1);
	seal_end(&c);
	assert_int_equal(told, 0);
	tear_down(&vm, &c);
}

static void what_cannot_be_frozen_is_told(void **state)
{
	struct qbx_err err = { 0 };
	struct container c;
	struct vm vm;

	(void)state;
	set_up(&vm, &c);
	note(&c, "ext4", "sys");
	assert_int_equal(seal_begin(&c, on_told, &vm, &err), 0);
	assert_int_equal(vm.sealing, 1);
	assert_int_equal(loop_run(vm.loop, &err), 0);
	assert_int_equal(told, 1);
	assert_true(told_err.sys == EOPNOTSUPP || told_err.sys == EPERM);
	assert_non_null(strstr(told_err.msg, "freeze what container box writes to"));
	tear_down(&vm, &c);

	set_up(&vm, &c);
	note(&c, "ext4", "no such directory");
	assert_int_equal(seal_begin(&c, on_told, &vm, &err), -1);
	assert_int_equal(err.sys, ENOENT);
	tear_down(&vm, &c);
}

/* The process is at it still: who waits is told at once, and the guest ends only after it. */
static void what_nobody_wants_any_more(void **state)
{
	struct qbx_err err = { 0 };
	struct container c;
	struct vm vm;

	(void)state;
	set_up(&vm, &c);
	note(&c, "ext4", "sys");
	assert_int_equal(seal_begin(&c, on_told, &vm, &err), 0);
	seal_end(&c);
	assert_int_equal(told, 1);
	assert_int_equal(told_err.sys, ECANCELED);
	assert_int_equal(vm.sealing, 1);
	assert_int_equal(loop_run(vm.loop, &err), 0);
	assert_int_equal(told, 1);
	assert_int_equal(shutdown_checks, 1);
	tear_down(&vm, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_memory_is_left_alone),
		cmocka_unit_test(what_cannot_be_frozen_is_told),
		cmocka_unit_test(what_nobody_wants_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
