/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c - from a plan to a VM whose guest is ready
 *
 * Theory of Operation
 *
 * Everything that can be opened is opened first, by us: the place where the guest will dial, the
 * monitor's socket, TAPs, disks, the console. Then the vsock daemon starts (where there is one),
 * then QEMU; each is in vm.json before it runs, so that `stop` finds it whatever becomes of this
 * process. After that the guest's hello, the end of a process, a signal and the deadline are all
 * events of one loop.
 *
 * The lock is held until vm.json is written, and again at the end; not while the guest boots, so
 * that a `stop` need not wait for it. It ends QEMU, and this process sees that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>

#include "io.h"
#include "json.h"
#include "log.h"
#include "tail.h"
#include "vm.h"

/* What is only held while the VM starts. */
struct boot {
	struct vm *vm;
	int lock;
	int listener; /* where the guest dials */
	int vsock;    /* for QEMU: the daemon's connection, or /dev/vhost-vsock */
	int netns;
	int fds[VM_FD_FIRST + 2 * VM_LINKS_MAX + VM_DISKS_MAX]; /* by their number in QEMU */
	struct greet *greet;
	struct watch *deadline;
	bool done, timed_out;
	struct qbx_err err; /* of the greeting */
};

/* ---- the VM's processes ---- */

static void tell(struct vm *vm)
{
	if (vm->notify)
		vm->notify(vm->notify_arg);
}

static void on_qemu(void *arg, int status)
{
	struct vm *vm = arg;

	vm->qemu_watch = NULL;
	vm->qemu_gone = true;
	vm->qemu_status = status;
	tell(vm);
}

static void on_helper(void *arg, int status)
{
	struct vm *vm = arg;

	(void)status;
	vm->helper_watch = NULL;
	vm->helper_gone = true;
	tell(vm);
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct vm *vm = arg;

	vm->signal = (int)info->ssi_signo;
	tell(vm);
}

int vm_init(struct vm *vm, const struct cli *cli, struct box *box, struct qbx_err *err)
{
	sigset_t set;

	memset(vm, 0, sizeof(*vm));
	tsc_mark(&vm->born);
	vm->cfg = &cli->cfg;
	vm->box = box;
	vm->dirfd = -1;
	if (plan_make(&vm->spec, cli, box, err) < 0)
		return -1;
	phase_begin(&vm->phases);
	vm->loop = loop_new(err);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (vm->loop)
		vm->signals = loop_add_signals(vm->loop, &set, on_signal, vm, err);
	if (vm->signals)
		return 0;
	vm_release(vm);
	return -1;
}

void vm_release(struct vm *vm)
{
	json_decref(phase_take(&vm->phases));
	loop_free(vm->loop);
	vm->loop = NULL;
	if (vm->dirfd >= 0)
		close(take_fd(&vm->dirfd));
}

int vm_why_gone(const struct vm *vm, struct qbx_err *err)
{
	char said[300], console[300];

	if (!vm->qemu_gone) {
		tail_line(vm->dirfd, VM_FILE_VSOCK_LOG, said, sizeof(said));
		return err_code(err, EX_UNAVAILABLE, "vhost-device-vsock ended: %s",
				said[0] ? said : "it printed nothing");
	}
	tail_line(vm->dirfd, VM_FILE_QEMU_LOG, said, sizeof(said));
	if (strstr(said, ": warning: "))
		said[0] = '\0'; /* QEMU says why it ends last: so that was nothing */
	tail_panic(vm->dirfd, VM_FILE_CONSOLE, console, sizeof(console));
	if (vm->qemu_status == 0)
		err_code(err, EX_UNAVAILABLE, "the guest powered off");
	else if (vm->qemu_status > 128)
		err_code(err, EX_UNAVAILABLE, "QEMU was ended by signal %d%s%s",
			 vm->qemu_status - 128, said[0] ? ": " : "", said);
	else
		err_code(err, EX_UNAVAILABLE, "QEMU failed with status %d%s%s", vm->qemu_status,
			 said[0] ? ": " : "", said);
	if (console[0])
		err_hint(err, "the guest's last line: %.200s", console);
	return -1;
}

/* ---- descriptors ---- */

static int create_log(int dirfd, const char *name, struct qbx_err *err)
{
	int fd = openat(dirfd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create %s", name) : fd;
}

static int open_links(struct boot *b, struct qbx_err *err)
{
	const struct vm_spec *spec = &b->vm->spec;

	if (spec->netns) {
		b->netns = open(spec->netns, O_RDONLY | O_CLOEXEC);
		if (b->netns < 0)
			return err_sys(err, errno, "open network namespace %s", spec->netns);
	}
	for (size_t i = 0; i < spec->nlinks; i++) {
		int *fd = &b->fds[vm_link_fd(spec, i)];

		fd[0] = tap_open(b->netns, spec->links[i].tap, err);
		if (fd[0] < 0)
			return -1;
		if (!spec->links[i].vhost)
			continue;
		fd[1] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (fd[1] < 0)
			return err_sys(err, errno, "open /dev/vhost-net");
	}
	return 0;
}

static int open_disks(struct boot *b, struct qbx_err *err)
{
	const struct vm_spec *spec = &b->vm->spec;

	for (size_t i = 0; i < spec->ndisks; i++) {
		const struct vm_disk *d = &spec->disks[i];
		int *fd = &b->fds[vm_disk_fd(spec, i)];

		if (d->vmdk)
			continue;
		*fd = open(d->path, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (*fd < 0)
			return err_sys(err, errno, "open disk %s", d->path);
	}
	return 0;
}

static int open_all(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	b->listener = vsock_listen(&vm->spec, vm->dirfd, err);
	if (b->listener < 0)
		return -1;
	b->fds[VM_FD_QMP] = unix_listen(vm->dirfd, VM_FILE_QMP, err);
	if (b->fds[VM_FD_QMP] < 0)
		return -1;
	b->fds[VM_FD_CONSOLE] = create_log(vm->dirfd, VM_FILE_CONSOLE, err);
	if (b->fds[VM_FD_CONSOLE] < 0)
		return -1;
	return open_links(b, err) < 0 ? -1 : open_disks(b, err);
}

/* ---- the record ---- */

static json_t *vm_object(const struct vm *vm)
{
	const struct vm_spec *spec = &vm->spec;
	json_t *j = vm->qemu.pid ? proc_to_json(&vm->qemu) : json_object();
	json_t *vsock =
		json_pack("{s:s}", "transport", spec->vhost_user ? "vhost-user" : "vhost-vsock");

	if (!spec->vhost_user)
		json_object_set_new(vsock, "cid", json_integer(spec->cid));
	if (vm->helper.pid)
		json_object_set_new(j, "helper", proc_to_json(&vm->helper));
	json_object_set_new(j, "accel", json_string(accel_name(spec->accel)));
	json_object_set_new(j, "machine", json_string("microvm"));
	json_object_set_new(j, "vcpus", json_integer(spec->vcpus));
	json_object_set_new(j, "memory_mib", json_integer(spec->memory_mib));
	json_object_set_new(j, "vsock", vsock);
	if (vm->hello.kernel[0])
		json_object_set_new(j, "guest", json_pack("{s:s}", "kernel", vm->hello.kernel));
	return j;
}

static int record(const struct vm *vm, struct qbx_err *err)
{
	json_auto_t *j = vm_object(vm);

	return json_write_file(vm->dirfd, VM_FILE_VM, 0600, j, err);
}

/* Written down before they run: whatever becomes of this process, `stop` finds them. */
static int record_helper(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->helper) < 0)
		return err_sys(err, errno, "identify vhost-device-vsock");
	return record(vm, err);
}

static int record_qemu(void *arg, pid_t pid, struct qbx_err *err)
{
	struct vm *vm = arg;

	if (proc_identify(pid, &vm->qemu) < 0)
		return err_sys(err, errno, "identify QEMU");
	return record(vm, err);
}

/* ---- waiting ---- */

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

/* Run the loop until b->done, or until something is in the way of that. */
static int await(struct boot *b, const char *what, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	while (!b->done && !b->err.code && !b->timed_out && !vm->signal && !vm->qemu_gone &&
	       !vm->helper_gone)
		if (loop_run(vm->loop, err) < 0)
			return -1;
	if (vm->qemu_gone || vm->helper_gone)
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

static void finished(struct boot *b)
{
	b->done = true;
	loop_stop(b->vm->loop);
}

/* ---- vhost-device-vsock ---- */

/* What to wait for: a watch on the box's directory, and whether the daemon's socket was seen. */
struct appear {
	struct boot *b;
	int fd;
};

static void on_created(void *arg, uint32_t events)
{
	struct appear *a = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(a->fd, buf, sizeof(buf));

	(void)events;
	for (char *p = buf; n > 0 && p < buf + n;) {
		struct inotify_event *e = (struct inotify_event *)p;

		if (e->len > 0 && !strcmp(e->name, VM_FILE_VHOST))
			finished(a->b);
		p += sizeof(*e) + e->len;
	}
}

static int spawn_daemon(struct boot *b, int *pidfd, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int log = create_log(vm->dirfd, VM_FILE_VSOCK_LOG, err);
	struct proc_fd fds[] = { { log, 1 }, { log, 2 } };
	struct proc_spec spec = {
		.argv = vsock_argv(),
		.cwd = vm->spec.dir, /* so that its paths stay short */
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
		.netns = -1,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_helper,
		.born_arg = vm,
	};
	pid_t pid;

	if (log >= 0 && proc_spawn(&spec, &pid, pidfd, err) == 0)
		return 0;
	vm->helper.pid = 0; /* it never ran */
	if (err->sys != ENOENT)
		return -1;
	return err_hint(err, "install vhost-device-vsock, or load the kernel module vhost_vsock");
}

static int start_daemon(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct appear appear = { .b = b, .fd = inotify };
	_cleanup_close_ int pidfd = -1;
	struct watch *watch;
	int ret;

	if (inotify < 0 || inotify_add_watch(inotify, vm->spec.dir, IN_CREATE) < 0)
		return err_sys(err, errno, "watch %s", vm->spec.dir);
	if (spawn_daemon(b, &pidfd, err) < 0)
		return -1;
	vm->helper_watch =
		loop_add_child(vm->loop, fcntl(pidfd, F_DUPFD_CLOEXEC, 3), on_helper, vm, err);
	watch = vm->helper_watch ? loop_add_fd(vm->loop, inotify, EPOLLIN, on_created, &appear, err)
				 : NULL;
	if (!watch)
		return -1;
	ret = await(b, "vhost-device-vsock", err);
	loop_remove(watch);
	if (ret < 0)
		return -1;
	b->done = false;
	b->vsock = vsock_connect(vm->dirfd, vm->helper.pid, pidfd, err);
	return b->vsock < 0 ? -1 : 0;
}

/* ---- QEMU ---- */

static int start_qemu(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	_cleanup_close_ int log = create_log(vm->dirfd, VM_FILE_QEMU_LOG, err);
	struct proc_fd fds[ARRAY_SIZE(b->fds) + 2] = { { log, 1 }, { log, 2 } };
	struct proc_spec spec = {
		.cwd = vm->spec.dir,
		.fds = fds,
		.nfds = 2,
		.netns = b->netns,
		.detach = 1,
		.die_with_us = vm->die_with_us,
		.born = record_qemu,
		.born_arg = vm,
	};
	char **argv;
	int pidfd, ret;
	pid_t pid;

	vm->spec.tsc_khz = tsc_khz_since(&vm->born);
	argv = vm_argv(&vm->spec);
	if (log < 0 || !argv) {
		strv_free(argv);
		return log < 0 ? -1 : err_sys(err, ENOMEM, "make QEMU's command line");
	}
	b->fds[VM_FD_VSOCK] = take_fd(&b->vsock);
	for (int to = 0; to < (int)ARRAY_SIZE(b->fds); to++)
		if (b->fds[to] >= 0)
			fds[spec.nfds++] = (struct proc_fd){ b->fds[to], to };
	spec.argv = (const char *const *)argv;
	ret = proc_spawn(&spec, &pid, &pidfd, err);
	strv_free(argv);
	if (ret < 0) {
		vm->qemu.pid = 0; /* it never ran */
		return -1;
	}
	vm->qemu_watch = loop_add_child(vm->loop, pidfd, on_qemu, vm, err);
	return vm->qemu_watch ? 0 : -1;
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

/* ---- the whole ---- */

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
	struct proc_id qemu, helper;
	_cleanup_close_ int pidfd = -1;

	vm->dirfd = dir_enter(vm->cfg, vm->box, &vm->made_dir, &b->lock, err);
	if (vm->dirfd < 0 || halt_find(vm->box, vm->dirfd, &qemu, &helper, err) < 0)
		return -1;
	pidfd = qemu.pid ? proc_open(&qemu) : -1;
	if (pidfd >= 0) {
		close(take_fd(&vm->dirfd)); /* so that undo has nothing to undo */
		err_code(err, EX_TEMPFAIL, "it runs already, as process %d", (int)qemu.pid);
		return err_hint(err, "qbx-vm stop ends it");
	}
	if (helper.pid && halt_kill(&helper, err) < 0)
		return -1;
	return dir_clear(vm->dirfd, err);
}

static int spawn_all(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	if (take_directory(b, err) < 0 || open_all(b, err) < 0 || make_token(vm, err) < 0)
		return -1;
	if (vm->spec.vhost_user) {
		if (start_daemon(b, err) < 0)
			return -1;
	} else {
		b->vsock = vsock_claim_cid(&vm->spec, vm->box->key, err);
		if (b->vsock < 0)
			return -1;
	}
	return start_qemu(b, err);
}

static int greet_guest(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	b->greet = greet_start(vm->loop, take_fd(&b->listener), vm->spec.cid, vm->helper.pid,
			       vm->box, vm->token, on_greeted, b, err);
	if (!b->greet)
		return -1;
	close(take_fd(&b->lock));
	if (await(b, "the guest's hello", err) < 0)
		return -1;
	unlinkat(vm->dirfd, VM_FILE_HELLO, 0);
	return 0;
}

/* The document and the files that say that the box runs. */
static int conclude(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;
	json_t *object;

	b->lock = dir_lock_again(vm->cfg, vm->box, vm->dirfd, err);
	if (b->lock < 0 || record(vm, err) < 0)
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
	struct qbx_err err = { 0 };

	loop_remove(vm->qemu_watch);
	loop_remove(vm->helper_watch);
	vm->qemu_watch = vm->helper_watch = NULL;
	json_object_del(vm->box->doc, "vm");
	if ((vm->qemu.pid && halt_kill(&vm->qemu, &err) < 0) ||
	    (vm->helper.pid && halt_kill(&vm->helper, &err) < 0))
		log_warn("%s", err.msg);
	if (vm->dirfd < 0)
		return;
	if (b->lock < 0)
		b->lock = dir_lock_again(vm->cfg, vm->box, vm->dirfd, &err);
	if (b->lock < 0)
		return; /* somebody else has removed it */
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
	for (size_t i = 0; i < ARRAY_SIZE(b->fds); i++)
		cleanup_closep(&b->fds[i]);
}

static int boot(struct boot *b, struct qbx_err *err)
{
	struct vm *vm = b->vm;

	vm->notify = on_notify;
	vm->notify_arg = b;
	b->deadline = loop_add_timer(vm->loop,
				     vm->spec.accel == ACCEL_KVM ? VM_BOOT_KVM_MS : VM_BOOT_TCG_MS,
				     on_deadline, b, err);
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

	for (size_t i = 0; i < ARRAY_SIZE(b.fds); i++)
		b.fds[i] = -1;
	if (boot(&b, err) == 0)
		return 0;
	undo(&b);
	return err_wrap(err, "box %s", vm->box->key);
}
