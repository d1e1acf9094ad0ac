/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halt.c - end a VM
 *
 * Three ways, each bounded, each tried only while QEMU still runs: the guest is asked to power off,
 * then QEMU is asked to quit, then it is killed. Processes are named by pid and start time and
 * waited for by pidfd, so no other process can be hit, and one that has gone costs no wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "guest.pb-c.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "still.h"
#include "ttrpc.h"
#include "vm.h"

/* Wait until the process has ended; a child of ours is reaped. Return: true if it has. */
static bool gone_within(int pidfd, unsigned ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	unsigned long long end = io_now_us() + ms * 1000ull, now;
	int n;

	do {
		now = io_now_us();
		n = poll(&p, 1, now < end ? (int)((end - now + 999) / 1000) : 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	(void)proc_reap(pidfd); /* fails for somebody else's child, who will reap it */
	return true;
}

int halt_kill(const struct proc_id *id, struct qbx_err *err)
{
	_cleanup_close_ int pidfd = proc_open(id);

	if (pidfd < 0)
		return errno == ESRCH ? 0 : err_sys(err, errno, "open process %d", (int)id->pid);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return err_sys(err, errno, "kill process %d", (int)id->pid);
	if (!gone_within(pidfd, VM_KILL_MS))
		return err_sys(err, ETIMEDOUT, "wait for killed process %d", (int)id->pid);
	return 0;
}

/* ---- asking the guest ---- */

struct ask {
	struct loop *loop;
	struct dial *dial;
	struct ttrpc_conn *conn;
	unsigned end_ms; /* from when it has taken the call to its end */
	struct watch *deadline;
	bool failed;
};

static void give_up(struct ask *a, const char *why)
{
	log_debug("the guest cannot be asked to shut down: %s", why);
	a->failed = true;
	loop_stop(a->loop);
}

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	struct ask *a = arg;
	struct ttrpc_conn *conn = a->conn;

	(void)reply;
	if (code == TTRPC_CANCELLED)
		return;
	if (code != TTRPC_OK)
		give_up(a, message);
	/* The guest waits for this before it powers off. */
	a->conn = NULL;
	ttrpc_free(conn);
}

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct ask *a = arg;

	(void)conn;
	a->conn = NULL;
}

static void on_deadline(void *arg)
{
	struct ask *a = arg;

	a->deadline = NULL;
	give_up(a, "no end in time");
}

static int set_deadline(struct ask *a, unsigned ms, struct qbx_err *err)
{
	loop_remove(a->deadline);
	a->deadline = loop_add_timer(a->loop, ms, on_deadline, a, err);
	return a->deadline ? 0 : -1;
}

/* A guest that takes a connection lives, and gets the time that it needs. */
static void on_dialled(void *arg, int fd, const struct qbx_err *err)
{
	Qemubox__Guest__V1__ShutdownRequest request = QEMUBOX__GUEST__V1__SHUTDOWN_REQUEST__INIT;
	struct ask *a = arg;
	struct qbx_err e = { 0 };

	a->dial = NULL;
	if (fd < 0) {
		give_up(a, err->msg);
		return;
	}
	a->conn = ttrpc_new(a->loop, fd, NULL, NULL, on_closed, a, &e);
	if (!a->conn || set_deadline(a, a->end_ms, &e) < 0)
		give_up(a, e.msg);
	else
		ttrpc_request(a->conn, GUEST_SERVICE, "Shutdown", &request.base, a->end_ms,
			      &qemubox__guest__v1__shutdown_response__descriptor, on_answer, a);
}

static void on_gone(void *arg, int status)
{
	struct ask *a = arg;

	(void)status;
	loop_stop(a->loop);
}

/* Ask, and wait for the end of QEMU. A guest that cannot be reached costs no wait. */
static int ask(struct ask *a, const struct guest *g, int pidfd, struct qbx_err *err)
{
	int dup = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	int ret = -1;

	if (dup >= 0 && loop_add_child(a->loop, dup, on_gone, a, err) &&
	    set_deadline(a, VM_SHUTDOWN_MS, err) == 0)
		a->dial = guest_dial(a->loop, g, GUEST_PORT_CONTROL, 0, VM_SHUTDOWN_MS, on_dialled,
				     a, err);
	if (a->dial)
		ret = loop_run(a->loop, err);
	guest_dial_drop(take_ptr(a->dial));
	ttrpc_free(take_ptr(a->conn));
	return ret;
}

static bool writes_a_disk(const struct box *box)
{
	json_t *disks = json_object_get(json_object_get(box->doc, "fs"), "disks"), *disk;
	size_t i;

	json_array_foreach (disks, i, disk)
		if (json_is_false(json_object_get(disk, "readonly")))
			return true;
	return false;
}

static void ask_guest(const struct config *cfg, const struct box *box, int pidfd)
{
	struct qbx_err err = { 0 };
	struct ask a = { .loop = loop_new(&err),
			 .end_ms = writes_a_disk(box) ? VM_FLUSH_MS : VM_SHUTDOWN_MS };
	struct guest g;

	if (a.loop && guest_open(&g, cfg, box, &err) == 0) {
		if (ask(&a, &g, pidfd, &err) < 0)
			log_debug("the guest cannot be asked to shut down: %s", err.msg);
		guest_close(&g);
	}
	loop_free(a.loop);
}

/* ---- the whole ---- */

static void ask_qemu(int dirfd, int pidfd)
{
	struct qbx_err err = { 0 };
	json_t *reply = qmp_execute(dirfd, "quit", VM_QUIT_MS, &err);

	if (!reply) {
		log_debug("QEMU cannot be asked to quit: %s", err.msg);
		return;
	}
	json_decref(reply);
	(void)gone_within(pidfd, VM_QUIT_MS);
}

static int end_qemu(const struct config *cfg, const struct box *box, int dirfd,
		    const struct proc_id *qemu, struct qbx_err *err)
{
	_cleanup_close_ int pidfd = qemu->pid ? proc_open(qemu) : -1;

	if (pidfd < 0)
		return !qemu->pid || errno == ESRCH ? 0
						    : err_sys(err, errno, "open QEMU's process");
	if (dirfd >= 0 && !gone_within(pidfd, 0))
		ask_guest(cfg, box, pidfd);
	if (dirfd >= 0 && !gone_within(pidfd, 0))
		ask_qemu(dirfd, pidfd);
	return halt_kill(qemu, err);
}

json_t *vm_object_of(const struct box *box, int dirfd, struct qbx_err *err)
{
	json_t *j = dirfd >= 0 ? json_read_file(dirfd, VM_FILE_VM, err) : NULL;

	if (!j && dirfd >= 0 && err->sys != ENOENT)
		return NULL;
	err_forget(err);
	return j ? j : json_incref(json_object_get(box->doc, "vm"));
}

int halt_find(const struct box *box, int dirfd, struct procs *found, struct qbx_err *err)
{
	json_auto_t *vm = vm_object_of(box, dirfd, err);
	json_t *helper = json_object_get(vm, "helper"), *share = json_object_get(vm, "virtiofsd");

	memset(found, 0, sizeof(*found));
	if (!vm)
		return err->code ? err_wrap(err, "box %s", box->key) : 0;
	if (json_object_get(vm, "pid") && proc_from_json(vm, &found->qemu, err) < 0)
		return err_wrap(err, "box %s: vm", box->key);
	if (helper && proc_from_json(helper, &found->helper, err) < 0)
		return err_wrap(err, "box %s: vm.helper", box->key);
	if (share && proc_from_json(share, &found->share, err) < 0)
		return err_wrap(err, "box %s: vm.virtiofsd", box->key);
	return 0;
}

int halt_helpers(const struct procs *found, struct qbx_err *err)
{
	if (found->helper.pid && halt_kill(&found->helper, err) < 0)
		return -1;
	return found->share.pid ? halt_kill(&found->share, err) : 0;
}

int halt_open(const struct config *cfg, const struct box *box, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = box_dir_open(cfg, box, 0, err), pidfd = -1;
	struct procs found;

	if (dirfd < 0 && err->sys != ENOENT)
		return -1;
	if (dirfd >= 0 && halt_find(box, dirfd, &found, err) < 0)
		return -1;
	pidfd = dirfd >= 0 && found.qemu.pid ? proc_open(&found.qemu) : -1;
	return pidfd < 0 ? err_code(err, EX_UNAVAILABLE, "its VM does not run") : take_fd(&dirfd);
}

int halt_box(const struct config *cfg, const struct box *box, struct qbx_err *err)
{
	_cleanup_close_ int lock = -1;
	_cleanup_close_ int dirfd = dir_enter(cfg, box, NULL, &lock, err);
	struct box known = *box;
	struct procs found;
	json_auto_t *doc = NULL;

	if (dirfd < 0 && err->sys != ENOENT)
		return -1;
	err_forget(err);
	if ((dirfd >= 0 && still_end(dirfd, err) < 0) || halt_find(box, dirfd, &found, err) < 0)
		return -1;
	/* guest_open() wants to be told where the VM is, also when the caller does not know. */
	doc = json_copy(box->doc);
	json_object_set_new(doc, "vm", vm_object_of(box, dirfd, err));
	known.doc = doc;
	if (end_qemu(cfg, &known, dirfd, &found.qemu, err) < 0 || halt_helpers(&found, err) < 0 ||
	    hold_release(cfg, box, dirfd, err) < 0)
		return err_wrap(err, "box %s", box->key);
	return box_dir_remove(cfg, box, err);
}
