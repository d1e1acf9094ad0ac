/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete.c - undo what a shim left, dead or not
 *
 * containerd runs this after every deletion, normal or not, and kills it after 5 seconds. All that
 * it needs is the document in the box's directory; where that is gone, so is most of the box, and
 * the other commands find the rest by its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>

#include "address.h"
#include "box.h"
#include "container.h"
#include "helper.h"
#include "hooks.h"
#include "io.h"
#include "json.h"
#include "log.h"
#include "proc.h"
#include "shim.h"
#include "task.pb-c.h"

#define OUTPUT_MAX JSON_FILE_MAX

#define DELETE_MS 4700	    /* of containerd's 5 seconds */
#define HOOKS_LATER_MS 1500 /* what poststop hooks leave of it */

/* The steps back, and what each has to leave of the time for those after it, in milliseconds. */
static const struct {
	const char *program, *verb;
	int later_ms;
} steps[] = {
	{ "qbx-vm", "stop", 2700 },
	{ "qbx-fs", "release", 1000 },
	{ "qbx-net", "del", 0 },
};

/*
 * The latest document, or one that says no more than whose it is: all undoing finds out the rest.
 */
static int read_document(struct box *box, int dirfd, const struct flags *f, struct qbx_err *err)
{
	struct qbx_err why = { 0 };
	json_t *doc = json_read_file(dirfd, "box.json", &why);

	if (doc && box_take(box, doc, "box.json", &why) == 0)
		return 0;
	log_warn("%s", why.msg);
	doc = json_pack("{s:i, s:s, s:s}", "qbx", 1, "id", f->id, "namespace", f->namespace);
	return doc ? box_take(box, doc, "box.json", err) : err_sys(err, ENOMEM, "delete %s", f->id);
}

static int step_back(const char *program, const char *verb, int timeout_ms, const char *doc,
		     struct qbx_err *err)
{
	char path[PATH_MAX];
	const char *argv[] = { helper_path(program, path), "--json-errors", verb, NULL };
	const struct proc_spec spec = { .argv = argv, .netns = -1, .detach = 1 };
	_cleanup_(proc_output_free) struct proc_output out = { 0 };

	if (proc_run(&spec, doc, strlen(doc), OUTPUT_MAX, timeout_ms, &out, err) < 0)
		return -1;
	if (out.status == 0)
		return 0;
	helper_parse_error(err, program, out.err ? out.err : (char[]){ "" }, out.status);
	return -1;
}

/* A graceful end has no place here: nobody is left to wait for it. */
static void kill_vm(int dirfd, pid_t *pid)
{
	struct qbx_err err = { 0 };
	json_auto_t *vm = json_read_file(dirfd, "vm.json", &err);
	_cleanup_close_ int pidfd = -1;
	struct proc_id id;

	if (!vm || proc_from_json(vm, &id, &err) < 0)
		return;
	*pid = id.pid;
	pidfd = proc_open(&id);
	if (pidfd >= 0)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

static unsigned left_ms(unsigned long long begun, int later_ms)
{
	int left = DELETE_MS - (int)((io_now_us() - begun) / 1000) - later_ms;

	return left > 0 ? (unsigned)left : 0;
}

/*
 * Every step is tried; the first failure is the one that is told. Hooks have their turn when the VM
 * has gone.
 */
static int undo(const struct config *cfg, const struct box *box, const char *bundle,
		struct qbx_err *err)
{
	_cleanup_free_ char *doc = json_dumps(box->doc, JSON_COMPACT);
	unsigned long long begun = io_now_us();
	int failed = 0;

	if (!doc)
		return err_sys(err, ENOMEM, "undo box %s", box->key);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		unsigned ms = left_ms(begun, steps[i].later_ms);
		struct qbx_err e = { 0 };
		int rc = step_back(steps[i].program, steps[i].verb, (int)ms, doc, &e);

		if (i == 0)
			hooks_delete(bundle, left_ms(begun, HOOKS_LATER_MS));
		if (rc == 0)
			continue;
		log_error("%s: %s %s: %s", box->key, steps[i].program, steps[i].verb, e.msg);
		if (!failed)
			*err = e;
		failed = -1;
	}
	/* What is left is found again by what is in the directory. */
	return failed ? -1 : box_dir_remove(cfg, box, err);
}

static int clean_up(const struct config *cfg, const struct flags *f, const char *bundle, pid_t *pid,
		    struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	_cleanup_close_ int dirfd = -1;
	json_t *doc =
		json_pack("{s:i, s:s, s:s}", "qbx", 1, "id", f->id, "namespace", f->namespace);

	if (!doc || box_take(&box, doc, "flags", err) < 0)
		return -1;
	dirfd = box_dir_open(cfg, &box, 0, err);
	if (dirfd < 0 && err->sys != ENOENT)
		return -1;
	/*
	 * Without a directory there is no VM, but qbx-vm removes it before the others are undone.
	 */
	if (dirfd >= 0) {
		box_free(&box);
		if (read_document(&box, dirfd, f, err) < 0)
			return -1;
		kill_vm(dirfd, pid);
	}
	return undo(cfg, &box, bundle, err);
}

/* A socket that a dead shim left, as its bundle has it. */
static void remove_dead_socket(const struct flags *f, const char *bundle)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err err = { 0 };
	struct sockaddr_un un, written = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	size_t len, scheme = strlen(ADDRESS_SCHEME);

	snprintf(path, sizeof(path), "%s/" SHIM_ADDRESS, bundle);
	if (io_read_file(AT_FDCWD, path, scheme + sizeof(un.sun_path) - 1, &text, &len, &err) < 0 ||
	    strncmp(text, ADDRESS_SCHEME, scheme) || address_make(&un, NULL, f, bundle, &err) < 0)
		return;
	memcpy(written.sun_path, text + scheme, strlen(text + scheme) + 1);
	/* The directory may be another one, the name is ours, or the file is not. */
	if (!strrchr(written.sun_path, '/') ||
	    strcmp(strrchr(written.sun_path, '/'), strrchr(un.sun_path, '/')))
		return;
	if (!address_alive(&written))
		unlink(written.sun_path);
}

static int print_response(pid_t pid, struct qbx_err *err)
{
	Qemubox__Task__DeleteResponse m = QEMUBOX__TASK__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp at;
	struct timespec now;
	uint8_t buf[128];

	clock_gettime(CLOCK_REALTIME, &now);
	m.pid = (uint32_t)pid;
	m.exit_status = PROCESS_KILLED;
	m.exited_at = timestamp(&at, &now);
	if (qemubox__task__delete_response__get_packed_size(&m) > sizeof(buf))
		BUG("delete response is too large");
	if (io_write_all(STDOUT_FILENO, buf, qemubox__task__delete_response__pack(&m, buf)) < 0)
		return err_sys(err, errno, "write standard output");
	return 0;
}

int delete_main(const struct flags *f, struct qbx_err *err)
{
	const char *bundle = f->bundle ? f->bundle : ".";
	_cleanup_(config_free) struct config cfg = { 0 };
	pid_t pid = 0;

	if (config_load(&cfg, err) < 0)
		return -1;
	log_open("qbx-shim", f->debug || cfg.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
		 STDERR_FILENO);
	if (clean_up(&cfg, f, bundle, &pid, err) < 0)
		return -1;
	remove_dead_socket(f, bundle);
	return print_response(pid, err);
}
