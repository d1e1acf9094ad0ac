/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - calls on the task service inside the guest */
#include "task.h"

#include <errno.h>
#include <string.h>

#include "guest.h"
#include "json.h"

/* How long the guest may take, in milliseconds: on a host that is emulated itself. Whether it lives is
 * for others to find out. */
#define CREATE_MS 150000u
#define START_MS 150000u
#define UPDATE_MS 150000u
#define PAUSE_MS 90000u /* what was written goes to the disk then */
#define SHORT_MS 5000u

/* ---- mounts of the document as messages ---- */

struct mounts {
	size_t n;
	Qemubox__Task__Mount *messages;
	Qemubox__Task__Mount **pointers;
};

static void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->messages[i].options);
	free(m->messages);
	free(m->pointers);
}

static int mount_from_json(Qemubox__Task__Mount *m, const json_t *j, struct qbx_err *err)
{
	const char *type = "", *source = "", *target = "";
	json_t *options = NULL;
	json_error_t je;

	qemubox__task__mount__init(m);
	if (json_unpack_ex((json_t *)j, &je, 0, "{s:s, s?s, s?s, s?o}", "type", &type, "source",
			   &source, "target", &target, "options", &options) < 0)
		return err_code(err, EX_DATAERR, "fs.mounts: %s", je.text);
	m->options = (char **)json_strv(options, "fs.mounts: options", err);
	if (!m->options)
		return -1;
	m->n_options = json_array_size(options);
	m->type = (char *)type;
	m->source = (char *)source;
	m->target = (char *)target;
	return 0;
}

static int mounts_from_json(struct mounts *m, const json_t *array, struct qbx_err *err)
{
	size_t n = json_array_size(array);

	if (n == 0 || n > TASK_MOUNTS_MAX)
		return err_code(err, EX_DATAERR, "fs.mounts has %zu entries, not 1 to %u", n,
				TASK_MOUNTS_MAX);
	m->messages = calloc(n, sizeof(*m->messages));
	m->pointers = calloc(n, sizeof(Qemubox__Task__Mount *));
	if (!m->messages || !m->pointers)
		return err_sys(err, ENOMEM, "fs.mounts");
	for (; m->n < n; m->n++) {
		m->pointers[m->n] = &m->messages[m->n];
		if (mount_from_json(&m->messages[m->n], json_array_get(array, m->n), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the calls ---- */

/* "stream:N" in @buf, or "" for none. */
static char *stream_name(uint32_t number, char buf[sizeof(GUEST_STREAM_PREFIX "4294967295")])
{
	buf[0] = '\0';
	if (number)
		sprintf(buf, GUEST_STREAM_PREFIX "%u", (unsigned)number);
	return buf;
}

int task_create(struct ttrpc_conn *guest, const char *id, const char *spec, size_t spec_len,
		const json_t *mounts, const struct task_io *io, ttrpc_done_fn *done, void *arg,
		struct qbx_err *err)
{
	_cleanup_(mounts_free) struct mounts m = { 0 };
	Qemubox__Task__CreateRequest r = QEMUBOX__TASK__CREATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	char names[TASK_STREAMS][sizeof(GUEST_STREAM_PREFIX "4294967295")];

	if (mounts_from_json(&m, mounts, err) < 0)
		return -1;
	any.type_url = (char *)GUEST_SPEC_TYPE;
	any.value.data = (uint8_t *)spec;
	any.value.len = spec_len;
	r.id = (char *)id;
	r.n_rootfs = m.n;
	r.rootfs = m.pointers;
	r.stdin = stream_name(io->streams[TASK_STDIN], names[TASK_STDIN]);
	r.stdout = stream_name(io->streams[TASK_STDOUT], names[TASK_STDOUT]);
	r.stderr = stream_name(io->streams[TASK_STDERR], names[TASK_STDERR]);
	r.terminal = io->terminal;
	r.options = &any;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Create", &r.base, CREATE_MS,
		      &qemubox__task__create_response__descriptor, done, arg);
	return 0;
}

void task_exec(struct ttrpc_conn *guest, const char *id, const char *exec_id, const char *process,
	       size_t len, const struct task_io *io, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__ExecRequest r = QEMUBOX__TASK__EXEC_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	char names[TASK_STREAMS][sizeof(GUEST_STREAM_PREFIX "4294967295")];

	any.type_url = (char *)GUEST_PROCESS_TYPE;
	any.value.data = (uint8_t *)process;
	any.value.len = len;
	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	r.stdin = stream_name(io->streams[TASK_STDIN], names[TASK_STDIN]);
	r.stdout = stream_name(io->streams[TASK_STDOUT], names[TASK_STDOUT]);
	r.stderr = stream_name(io->streams[TASK_STDERR], names[TASK_STDERR]);
	r.terminal = io->terminal;
	r.spec = &any;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Exec", &r.base, START_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_start(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
		void *arg)
{
	Qemubox__Task__StartRequest r = QEMUBOX__TASK__START_REQUEST__INIT;

	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Start", &r.base, START_MS,
		      &qemubox__task__start_response__descriptor, done, arg);
}

void task_wait(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
	       void *arg)
{
	Qemubox__Task__WaitRequest r = QEMUBOX__TASK__WAIT_REQUEST__INIT;

	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Wait", &r.base, 0,
		      &qemubox__task__wait_response__descriptor, done, arg);
}

void task_delete(struct ttrpc_conn *guest, const char *id, const char *exec_id, ttrpc_done_fn *done,
		 void *arg)
{
	Qemubox__Task__DeleteRequest r = QEMUBOX__TASK__DELETE_REQUEST__INIT;

	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Delete", &r.base, START_MS,
		      &qemubox__task__delete_response__descriptor, done, arg);
}

void task_kill(struct ttrpc_conn *guest, const char *id, const char *exec_id, uint32_t signal,
	       bool all, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__KillRequest r = QEMUBOX__TASK__KILL_REQUEST__INIT;

	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	r.signal = signal;
	r.all = all;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Kill", &r.base, SHORT_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_update(struct ttrpc_conn *guest, const char *id, const char *resources, size_t len,
		 ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__UpdateRequest r = QEMUBOX__TASK__UPDATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)GUEST_RESOURCES_TYPE;
	any.value.data = (uint8_t *)resources;
	any.value.len = len;
	r.id = (char *)id;
	r.resources = &any;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Update", &r.base, UPDATE_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_resize_pty(struct ttrpc_conn *guest, const char *id, const char *exec_id, uint32_t width,
		     uint32_t height, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__ResizePtyRequest r = QEMUBOX__TASK__RESIZE_PTY_REQUEST__INIT;

	r.id = (char *)id;
	r.exec_id = (char *)exec_id;
	r.width = width;
	r.height = height;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "ResizePty", &r.base, SHORT_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_pause(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__PauseRequest r = QEMUBOX__TASK__PAUSE_REQUEST__INIT;

	r.id = (char *)id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Pause", &r.base, PAUSE_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_resume(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__ResumeRequest r = QEMUBOX__TASK__RESUME_REQUEST__INIT;

	r.id = (char *)id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Resume", &r.base, SHORT_MS,
		      &qemubox__task__empty__descriptor, done, arg);
}

void task_stats(struct ttrpc_conn *guest, const char *id, ttrpc_done_fn *done, void *arg)
{
	Qemubox__Task__StatsRequest r = QEMUBOX__TASK__STATS_REQUEST__INIT;

	r.id = (char *)id;
	ttrpc_request(guest, GUEST_TASK_SERVICE, "Stats", &r.base, SHORT_MS,
		      &qemubox__task__stats_response__descriptor, done, arg);
}
