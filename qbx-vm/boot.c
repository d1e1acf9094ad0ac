/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - from a plan to a VM whose guest is ready
 *
 * Theory of Operation
 *
 * Everything that can be opened is opened first, by us: the place where the guest will dial, the
 * monitor's socket, TAPs, disks, the console. Then the vsock daemon and virtiofsd start (where there
 * are such), then QEMU; each is in vm.json before it runs, so that `stop` finds it whatever becomes of this
 * process. After that the guest's hello, the end of a process, a signal and the deadline are all
 * events of one loop.
 *
 * The lock is held until vm.json is written, and again at the end; not while the guest boots, so
 * that a `stop` need not wait for it. It ends QEMU, and this process sees that.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "boot.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "tail.h"

static void on_notify(void *arg)
{
	struct boot *b = arg;

	loop_stop(b->vm->loop);
}

static void on_deadline(void *arg)
{
	struct boot *b = arg;

	b->deadline = NULL;
	b->timed_out = true;
	loop_stop(b->vm->loop);
}

int boot_await(struct boot *b, const char *what, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	while (!b->done && !b->err.code && !b->timed_out && !vm->signal && !vm->qemu_gone &&
	       !vm->helper_gone && !vm->share_gone)
		if (loop_run(vm->loop, err) < 0)
			return -1;
	if (vm->qemu_gone || vm->helper_gone || vm->share_gone)
		return vm_why_gone(vm, err);
	if (b->done)
		return 0;
	if (vm->signal)
		return err_code(err, EX_TEMPFAIL, "interrupted by signal %d", vm->signal);
	if (b->err.code) {
		*err = b->err;
		return -1;
	}
	tail_panic(vm->dirfd, VM_FILE_CONSOLE, err->hint, sizeof(err->hint));
	return err_sys(err, ETIMEDOUT, "wait for %s", what);
}

void boot_finished(struct boot *b)
{
	b->done = true;
	loop_stop(b->vm->loop);
}

static void on_greeted(void *arg, const struct hello *hello, const struct qbx_err *err)
{
	struct boot *b = arg;

	b->greet = NULL;
	if (err)
		b->err = *err;
	else
		b->vm->hello = *hello;
	b->done = !err;
	loop_stop(b->vm->loop);
}

static int make_token(struct vm *vm, struct qbx_err *err)
{
	if (getrandom(vm->token, sizeof(vm->token), 0) != sizeof(vm->token))
		return err_sys(err, errno, "get random bytes");
	return io_write_file(vm->dirfd, VM_FILE_TOKEN, 0600, vm->token, sizeof(vm->token), err);
}

/* A VM of that name may run: leave it alone. One that has ended may have left things: clear up. */
static int take_directory(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int pidfd = -1;
	struct procs found;

	vm->dirfd = dir_enter(vm->cfg, vm->box, &vm->made_dir, &b->lock, err);
	if (vm->dirfd < 0 || halt_find(vm->box, vm->dirfd, &found, err) < 0)
		return -1;
	pidfd = found.qemu.pid ? proc_open(&found.qemu) : -1;
	if (pidfd >= 0) {
		close(take_fd(&vm->dirfd)); /* so that undo has nothing to undo */
		err_code(err, EX_TEMPFAIL, "it runs already, as process %d", (int)found.qemu.pid);
		return err_hint(err, "qbx-vm stop ends it");
	}
	if (halt_helpers(&found, err) < 0)
		return -1;
	if (hold_release(vm->cfg, vm->box, vm->dirfd, err) < 0)
		return -1;
	return dir_clear(vm->dirfd, err);
}

static int spawn_all(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	if (take_directory(b, err) < 0 || hold_take(vm, err) < 0 || boot_open_all(b, err) < 0 ||
	    make_token(vm, err) < 0)
		return -1;
	if (vm->spec.vhost_user) {
		if (boot_daemon(b, err) < 0)
			return -1;
	} else {
		b->vsock = vsock_claim_cid(&vm->spec, vm->cfg, vm->box->key, err);
		if (b->vsock < 0)
			return -1;
	}
	if (vm->spec.nshares > 0 && boot_share(b, err) < 0)
		return -1;
	return boot_qemu(b, err);
}

static int greet_guest(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	b->greet = greet_start(vm->loop, take_fd(&b->listener), vm->spec.cid, vm->helper.pid,
			       vm->box, vm->token, on_greeted, b, err);
	if (!b->greet)
		return -1;
	close(take_fd(&b->lock));
	if (boot_await(b, "the guest's hello", err) < 0)
		return -1;
	unlinkat(vm->dirfd, VM_DIR_VSOCK "/" VM_VSOCK_HELLO, 0);
	return 0;
}

/* The document and the files that say that the box runs. */
static int conclude(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	json_t *object;

	b->lock = dir_lock_again(vm->cfg, vm->box, vm->dirfd, err);
	if (b->lock < 0)
		return -1;
	hold_quota(vm);
	if (vm_record(vm, err) < 0)
		return -1;
	phase_mark(&vm->phases, "boot");
	object = vm_object(vm);
	json_object_set(object, "t_us", vm->phases.t_us);
	json_object_set_new(vm->box->doc, "vm", object);
	return json_write_file(vm->dirfd, VM_FILE_BOX, 0600, vm->box->doc, err);
}

/* What went wrong is known: what fails here is said, and does not replace it. */
static void undo(struct boot *b)
{
	struct vm *vm = b->vm;
	struct procs helpers = { .helper = vm->helper, .share = vm->share };
	struct qbx_err err = { 0 };

	vm_unwatch(vm);
	json_object_del(vm->box->doc, "vm");
	if ((vm->qemu.pid && halt_kill(&vm->qemu, &err) < 0) || halt_helpers(&helpers, &err) < 0)
		log_warn("%s", err.msg);
	if (vm->dirfd < 0)
		return;
	if (b->lock < 0)
		b->lock = dir_lock_again(vm->cfg, vm->box, vm->dirfd, &err);
	if (b->lock < 0)
		return; /* somebody else has removed it */
	if (hold_release(vm->cfg, vm->box, vm->dirfd, &err) < 0)
		log_warn("%s", err.msg);
	if ((vm->made_dir ? box_dir_remove(vm->cfg, vm->box, &err) : dir_clear(vm->dirfd, &err)) <
	    0)
		log_warn("%s", err.msg);
}

static void boot_free(struct boot *b)
{
	int *all[] = { &b->lock, &b->listener, &b->vsock, &b->netns };

	b->vm->notify = NULL;
	loop_remove(b->deadline);
	greet_free(b->greet);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cleanup_closep(all[i]);
	for (int i = 0; i < b->nfds; i++)
		cleanup_closep(&b->fds[i]);
	free(b->fds);
}

static int boot(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	vm->notify = on_notify;
	vm->notify_arg = b;
	b->deadline = loop_add_timer(vm->loop, VM_BOOT_MS, on_deadline, b, err);
	if (!b->deadline || spawn_all(b, err) < 0)
		return -1;
	phase_mark(&vm->phases, "spawn");
	return greet_guest(b, err) < 0 ? -1 : conclude(b, err);
}

int vm_boot(struct vm *vm, struct qbx_err *err)
{
	_cleanup_(boot_free) struct boot b = {
		.vm = vm, .lock = -1, .listener = -1, .vsock = -1, .netns = -1
	};

	b.nfds = vm_fds(&vm->spec);
	b.fds = malloc((size_t)b.nfds * sizeof(*b.fds));
	if (!b.fds) {
		b.nfds = 0;
		return err_sys(err, ENOMEM, "start a VM");
	}
	for (int i = 0; i < b.nfds; i++)
		b.fds[i] = -1;
	if (boot(&b, err) == 0)
		return 0;
	undo(&b);
	return err_wrap(err, "box %s", vm->box->key);
}
