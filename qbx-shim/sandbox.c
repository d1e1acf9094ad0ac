/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.c - one VM: brought up, watched and taken down by the other commands */
#include "sandbox.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>

#include "console.h"
#include "end.h"
#include "files.h"
#include "heartbeat.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "monitor.h"
#include "proc.h"
#include "scale.h"

#define CONTROL_MS 10000u /* for the guest to take the control connection */
#define GRACE_MS 1000u	  /* for QEMU to end, and so to say why, when the guest has gone quiet */

/* A chain of plugins is not interrupted half-way: its undoing could overtake it. */
static const struct helper_spec net_add = { "qbx-net", "add", NULL, 0, 60000, 1 };
static const struct helper_spec fs_prepare = { "qbx-fs", "prepare", NULL, 0, 300000, 0 };
static const struct helper_spec vm_start = { "qbx-vm", "start", "--monitor=3", 0, 120000, 0 };

/* ---- the document ---- */

void sandbox_time(struct sandbox *s, const char *phase, unsigned long long since)
{
	json_t *shim = json_object_get(s->box.doc, "shim");

	json_object_set_new(json_object_get(shim, "t_us"), phase,
			    json_integer((json_int_t)(io_now_us() - since)));
}

static void save(struct sandbox *s)
{
	struct qbx_err err = { 0 };

	if (json_write_file(s->dirfd, "box.json", 0600, s->box.doc, &err) < 0)
		log_warn("%s: %s", s->box.key, err.msg);
}

int sandbox_merge(struct sandbox *s, const json_t *doc, const char *key, struct qbx_err *err)
{
	json_t *value = json_object_get(doc, key);

	if (!json_is_object(value))
		return err_code(err, EX_DATAERR, "qbx-%s: its output lacks an object \"%s\"", key,
				key);
	json_object_set(s->box.doc, key, value);
	save(s);
	return 0;
}

/* ---- losing it ---- */

void sandbox_forget_vm(struct sandbox *s)
{
	loop_remove(s->grace);
	s->grace = NULL;
	loop_remove(s->pid_watch);
	s->pid_watch = NULL;
	if (s->pidfd >= 0)
		close(take_fd(&s->pidfd));
	s->pid = 0;
	sandbox_forget_volumes(s);
	heartbeat_free(take_ptr(s->heartbeat));
	guest_dial_cancel(take_ptr(s->dial));
	ttrpc_free(take_ptr(s->control));
	files_free(take_ptr(s->files));
	monitor_free(take_ptr(s->monitor));
	console_free(take_ptr(s->console));
	scale_free(take_ptr(s->scale));
}

static void lost(struct sandbox *s, const struct qbx_err *err)
{
	if (s->state >= SANDBOX_LOST)
		return;
	s->state = SANDBOX_LOST;
	if (s->pidfd >= 0)
		pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
	sandbox_forget_vm(s);
	if (s->state ==
	    SANDBOX_LOST) /* a call that failed just now may have made the owner go on */
		s->ops->lost(s->arg, err);
}

/* The VM has ended, or is ended now: write down why, and tell. */
static void ended(struct sandbox *s, const struct end *end)
{
	struct qbx_err err = { .stage = "qbx-vm" };

	end_say(end, &err);
	json_object_set_new(s->box.doc, "end", end_to_json(end));
	save(s);
	lost(s, &err);
}

static void on_vm_end(void *arg, uint32_t events)
{
	struct sandbox *s = arg;
	struct end end;

	(void)events;
	end_look(&end, s->dirfd, jobs_status(&s->shim->jobs, s->pid), monitor_shutdown(s->monitor));
	ended(s, &end);
}

/* It ended before it could be watched. */
static void lost_early(struct sandbox *s)
{
	const json_t *vm = json_object_get(s->box.doc, "vm");
	pid_t pid = (pid_t)json_integer_value(json_object_get(vm, "pid"));
	struct end end;

	end_look(&end, s->dirfd, jobs_status(&s->shim->jobs, pid), monitor_shutdown(s->monitor));
	ended(s, &end);
}

/* The VM runs, but there is no use in it any more. */
static void give_up(struct sandbox *s, enum end_reason reason)
{
	struct end end;

	end_look(&end, s->dirfd, -1, "");
	end.reason = reason;
	ended(s, &end);
}

static void on_hung(void *arg)
{
	give_up(arg, END_HANG);
}

static void on_grace_over(void *arg)
{
	struct sandbox *s = arg;

	s->grace = NULL;
	log_warn("%s: %s", s->box.key, s->suspicion.msg);
	give_up(s, s->volumes_gone ? END_VOLUMES : END_LOST);
}

void sandbox_suspect(struct sandbox *s, const char *why)
{
	struct qbx_err err = { 0 };

	if (s->state >= SANDBOX_LOST || s->grace)
		return;
	snprintf(s->suspicion.stage, sizeof(s->suspicion.stage), "guest");
	err_code(&s->suspicion, EX_UNAVAILABLE, "the guest is lost: %s", why);
	s->grace = loop_add_timer(s->shim->loop, GRACE_MS, on_grace_over, s, &err);
	if (!s->grace)
		lost(s, &err);
}

static void on_control_closed(void *arg, struct ttrpc_conn *conn)
{
	struct sandbox *s = arg;

	(void)conn;
	s->control = NULL;
	heartbeat_free(take_ptr(s->heartbeat)); /* it pings over that */
	files_free(take_ptr(s->files));
	sandbox_suspect(s, "it closed its control connection");
}

void sandbox_kill(struct sandbox *s, const char *why)
{
	struct end end;

	log_warn("%s: QEMU is killed: %s", s->box.key, why);
	end_look(&end, s->dirfd, 128 + SIGKILL, "");
	ended(s, &end);
}

/* ---- the way up ---- */

/*
 * A helper of the way up has ended. Return: 0 if its document counts, or -1: it failed, or what it
 * was for has come to nothing meanwhile.
 */
static int helper_came_back(struct sandbox *s, json_t *doc, const char *key,
			    const struct qbx_err *err)
{
	struct qbx_err own = { .stage = "qbx-shim" };

	s->helpers--;
	sandbox_time(s, key, s->mark);
	if (doc && sandbox_merge(s, doc, key, &own) < 0)
		err = &own;
	else if (s->early.code)
		err = &s->early;
	if (s->state == SANDBOX_STOPPING) {
		sandbox_down_when_idle(s);
		return -1;
	}
	if (err)
		lost(s, err);
	return err || s->state >= SANDBOX_LOST ? -1 : 0;
}

/* Is this host a virtual machine? The processor says so: leaf 1, bit 31 of ECX. */
static bool is_virtual(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && c >> 31;
}

/* What can be done without is not worth the VM. */
static void watch_guest(struct sandbox *s)
{
	const json_t *vm = json_object_get(s->box.doc, "vm");
	const char *accel = json_string_value(json_object_get(vm, "accel"));
	struct heartbeat_of of = {
		.loop = s->shim->loop,
		.control = s->control,
		.guest = &s->guest,
		.qemu = s->pid,
		.slow = !accel || strcmp(accel, "kvm") != 0 || is_virtual(),
	};
	struct qbx_err err = { 0 };

	of.helper =
		(pid_t)json_integer_value(json_object_get(json_object_get(vm, "helper"), "pid"));
	s->heartbeat = heartbeat_start(&of, on_hung, s, &err);
	if (!s->heartbeat)
		log_warn("%s: %s", s->box.key, err.msg);
	else if (s->paused)
		heartbeat_pause(s->heartbeat, true);
}

static void on_control(void *arg, int fd, const struct qbx_err *err)
{
	struct sandbox *s = arg;
	struct qbx_err own = { .stage = "guest" };

	s->dial = NULL;
	if (fd >= 0) {
		s->control = ttrpc_new(s->shim->loop, fd, NULL, NULL, on_control_closed, s, &own);
		err = &own;
	}
	if (!s->control) {
		lost(s, err);
		return;
	}
	sandbox_time(s, "dial", s->mark);
	s->scale = scale_new(s, &own);
	if (!s->scale) {
		lost(s, &own);
		return;
	}
	s->state = SANDBOX_UP;
	watch_guest(s);
	s->ops->up(s->arg);
}

static int keep_console(struct sandbox *s, struct qbx_err *err)
{
	size_t max = s->shim->cfg.console_max_kib * (size_t)1024;

	s->console = console_keep(s->shim->loop, s->dirfd, max, err);
	return s->console ? 0 : -1;
}

/* Hold on to exactly the QEMU that the document names. */
static int watch_vm(struct sandbox *s, struct qbx_err *err)
{
	struct proc_id id;

	if (proc_from_json(json_object_get(s->box.doc, "vm"), &id, err) < 0)
		return -1;
	s->pidfd = proc_open(&id);
	if (s->pidfd < 0)
		return err_sys(err, errno, "QEMU (pid %d)", (int)id.pid);
	s->pid = id.pid;
	s->pid_watch = loop_add_fd(s->shim->loop, s->pidfd, EPOLLIN, on_vm_end, s, err);
	if (!s->pid_watch || sandbox_watch_volumes(s, err) < 0)
		return -1;
	return keep_console(s, err);
}

static void on_started(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;
	struct qbx_err own = { .stage = "qbx-vm" };

	if (helper_came_back(s, doc, "vm", err) < 0)
		return;
	s->state = SANDBOX_DIALLING;
	s->mark = io_now_us();
	if (watch_vm(s, &own) == 0 && guest_open(&s->guest, &s->shim->cfg, &s->box, &own) == 0)
		s->dial = guest_dial(s->shim->loop, &s->guest, GUEST_PORT_CONTROL, 0, CONTROL_MS,
				     on_control, s, &own);
	if (!s->dial && own.sys == ESRCH)
		lost_early(s);
	else if (!s->dial)
		lost(s, &own);
}

static int run(struct sandbox *s, const struct helper_spec *spec, helper_done_fn *done,
	       struct qbx_err *err)
{
	if (helper_run(&s->shim->jobs, spec, s->box.doc, done, s, err) < 0)
		return -1;
	s->helpers++;
	return 0;
}

static int start_vm(struct sandbox *s, struct qbx_err *err)
{
	struct helper_spec spec = vm_start;
	_cleanup_close_ int theirs = -1;

	s->monitor = monitor_new(s->shim->loop, &theirs, sandbox_on_monitor, s, err);
	if (!s->monitor)
		return -1;
	spec.fd = theirs;
	return run(s, &spec, on_started, err);
}

static void boot_when_prepared(struct sandbox *s)
{
	struct qbx_err err = { 0 };

	if (s->helpers > 0)
		return;
	s->state = SANDBOX_BOOTING;
	s->mark = io_now_us();
	if (start_vm(s, &err) < 0)
		lost(s, &err);
}

static void on_net(void *arg, json_t *doc, const struct qbx_err *err)
{
	if (helper_came_back(arg, doc, "net", err) == 0)
		boot_when_prepared(arg);
}

static void on_fs(void *arg, json_t *doc, const struct qbx_err *err)
{
	if (helper_came_back(arg, doc, "fs", err) == 0)
		boot_when_prepared(arg);
}

static int prepare(struct sandbox *s, struct qbx_err *err)
{
	struct qbx_err absent = { 0 };

	s->dirfd = box_dir_open(&s->shim->cfg, &s->box, 0, &absent);
	if (s->dirfd >= 0) {
		close(take_fd(&s->dirfd)); /* not ours to remove */
		err_code(err, EX_TEMPFAIL, "box %s exists already", s->box.key);
		return err_hint(err, "if nothing of it runs: qbx-vm stop --box %s/%s/box.json",
				s->shim->cfg.run_dir, s->box.key);
	}
	s->dirfd = box_dir_open(&s->shim->cfg, &s->box, 1, err);
	if (s->dirfd < 0)
		return -1;
	if (json_write_file(s->dirfd, "box.json", 0600, s->box.doc, err) < 0)
		return -1;
	return run(s, &net_add, on_net, err);
}

struct sandbox *sandbox_new(struct shim *shim, json_t *doc, const struct sandbox_ops *ops,
			    void *arg, struct qbx_err *err)
{
	struct sandbox *s = calloc(1, sizeof(*s));
	struct qbx_err second = { 0 };

	if (!s) {
		json_decref(doc);
		err_sys(err, ENOMEM, "make a sandbox");
		return NULL;
	}
	*s = (struct sandbox){ .shim = shim,
			       .ops = ops,
			       .arg = arg,
			       .dirfd = -1,
			       .pidfd = -1,
			       .virtiofsd = -1,
			       .guest.dirfd = -1,
			       .next_stream = 1,
			       .mark = io_now_us() };
	json_object_set_new(doc, "shim", json_pack("{s:{}}", "t_us"));
	if (box_take(&s->box, doc, "request", err) < 0) {
		free(s);
		return NULL;
	}
	if (prepare(s, err) < 0) {
		if (s->dirfd >= 0 && box_dir_remove(&shim->cfg, &s->box, &second) < 0)
			log_warn("%s", second.msg);
		sandbox_free(s);
		return NULL;
	}
	/* One helper runs by now, so a failure is told when it comes back, like any later one. */
	if (run(s, &fs_prepare, on_fs, &second) < 0)
		s->early = second;
	return s;
}

/* ---- another size ---- */

static void on_resized(void *arg, json_t *doc, const struct qbx_err *err)
{
	struct sandbox *s = arg;
	struct qbx_err own = { .stage = "qbx-vm" };

	s->helpers--;
	if (s->state == SANDBOX_STOPPING)
		sandbox_down_when_idle(s);
	if (s->state != SANDBOX_UP)
		return;
	if (doc && sandbox_merge(s, doc, "vm", &own) < 0)
		err = &own;
	scale_resized(s->scale, err);
}

int sandbox_resize(struct sandbox *s, const char *option, const json_t *doc, struct qbx_err *err)
{
	const struct helper_spec spec = { .program = "qbx-vm",
					  .verb = "resize",
					  .option = option,
					  .timeout_ms = SCALE_RESIZE_MS };

	if (helper_run(&s->shim->jobs, &spec, doc, on_resized, s, err) < 0)
		return -1;
	s->helpers++;
	return 0;
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	s->state = SANDBOX_DOWN; /* calls that fail now are no news */
	sandbox_forget_vm(s);
	loop_remove(s->deferred);
	guest_close(&s->guest);
	if (s->dirfd >= 0)
		close(s->dirfd);
	box_free(&s->box);
	free(s);
}
