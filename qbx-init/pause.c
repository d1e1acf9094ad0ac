/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.c - Task.Pause and Task.Resume
 *
 * The processes stand still first, then what they write to: see seal.h. Resume is the same
 * backwards. A file system that cannot be frozen, or not in time, does not keep the container
 * from being paused.
 *
 * By cgroup.freeze of the container's cgroup; cgroup.events says when all in it stand still, and again
 * when they do not. See the kernel's admin-guide/cgroup-v2.rst. A crun that is putting an exec into the
 * cgroup would be caught as well, with its call: it is waited for.
 */
#include "pause.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "exec.h"
#include "field.h"
#include "log.h"
#include "seal.h"

#define PAUSE_MS 3000u
#define SEAL_MS 60000u

/* Of a container on its way; the call that waits is the container's. */
struct pausing {
	int events; /* cgroup.events, or -1 while an exec is being started */
	struct watch *watch, *timer;
};

static int open_file(const struct container *c, const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUP_ROOT "%s/%s", c->cgroup, name);
	return open(path, flags | O_CLOEXEC);
}

static int set_frozen(const struct container *c, bool frozen, struct qbx_err *err)
{
	_cleanup_close_ int fd = open_file(c, "cgroup.freeze", O_WRONLY);

	if (fd < 0 || write(fd, frozen ? "1" : "0", 1) < 0)
		return err_sys(err, errno, "%s container %s", frozen ? "pause" : "resume", c->id);
	return 0;
}

static void pausing_free(struct container *c)
{
	struct pausing *p = take_ptr(c->pausing);

	if (!p)
		return;
	loop_remove(p->watch);
	loop_remove(p->timer);
	if (p->events >= 0)
		close(p->events);
	free(p);
}

static void finish(struct container *c, const struct qbx_err *err)
{
	Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;
	bool to_pause = c->state == CONTAINER_PAUSING;
	struct ttrpc_call *call = take_ptr(c->call);

	pausing_free(c);
	c->state = to_pause == !err ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	if (err)
		ttrpc_fail_err(call, err);
	else
		ttrpc_reply(call, &empty.base);
}

/* Not done: what was begun is taken back. */
static void give_up(struct container *c, const struct qbx_err *why)
{
	struct qbx_err err = { 0 };

	if (set_frozen(c, c->state == CONTAINER_RESUMING, &err) < 0)
		log_warn("%s", err.msg);
	finish(c, why);
}

/* ---- what it writes to ---- */

/* One that comes too late for the answer is as good. */
static void on_sealed(void *arg, const struct qbx_err *err)
{
	struct container *c = arg;

	if (err && err->sys != ECANCELED)
		log_warn("%s", err->msg);
	if (c->pausing)
		finish(c, NULL);
}

static void on_seal_late(void *arg)
{
	struct container *c = arg;

	c->pausing->timer = NULL;
	log_warn("container %s is paused, but what it writes to does not stand still yet", c->id);
	finish(c, NULL);
}

static void seal(struct container *c)
{
	struct pausing *p = c->pausing;
	struct qbx_err err = { 0 };
	int rc = -1;

	loop_remove(take_ptr(p->watch));
	loop_remove(p->timer);
	p->timer = loop_add_timer(c->vm->loop, SEAL_MS, on_seal_late, c, &err);
	if (p->timer)
		rc = seal_begin(c, on_sealed, c, &err);
	if (rc < 0)
		log_warn("%s", err.msg);
	if (rc != 0)
		finish(c, NULL);
}

/* ---- its processes ---- */

static void look(struct container *c)
{
	struct qbx_err err = { 0 };
	uint64_t frozen;
	char text[256];
	ssize_t n = pread(c->pausing->events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (n < 0 || field_number(text, "frozen", "", &frozen) < 0) {
		err_sys(&err, n < 0 ? errno : EPROTO, "read cgroup.events of container %s", c->id);
		give_up(c, &err);
	} else if (!frozen != (c->state == CONTAINER_RESUMING)) {
		return;
	} else if (frozen) {
		seal(c);
	} else {
		finish(c, NULL);
	}
}

static void on_events(void *arg, uint32_t events)
{
	(void)events;
	look(arg);
}

static void on_late(void *arg)
{
	struct container *c = arg;
	struct qbx_err err = { 0 };

	c->pausing->timer = NULL;
	err_sys(&err, ETIMEDOUT, "%s container %s",
		c->state == CONTAINER_PAUSING ? "pause" : "resume", c->id);
	give_up(c, &err);
}

/* Let it happen, and be told. What is read first is what a change is told against. */
static void go(struct container *c)
{
	struct pausing *p = c->pausing;
	struct qbx_err err = { 0 };

	p->events = open_file(c, "cgroup.events", O_RDONLY);
	if (p->events < 0) {
		err_sys(&err, errno, "open cgroup.events of container %s", c->id);
		finish(c, &err);
		return;
	}
	p->watch = loop_add_fd(c->vm->loop, p->events, EPOLLPRI, on_events, c, &err);
	if (!p->watch || set_frozen(c, c->state == CONTAINER_PAUSING, &err) < 0)
		finish(c, &err);
	else
		look(c);
}

static void begin(struct container *c, enum container_state state, struct ttrpc_call *call)
{
	struct pausing *p = calloc(1, sizeof(*p));
	struct qbx_err err = { 0 };

	seal_end(c);
	if (!p) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	p->events = -1;
	c->pausing = p;
	c->state = state;
	c->call = call;
	p->timer = loop_add_timer(c->vm->loop, PAUSE_MS, on_late, c, &err);
	if (!p->timer)
		finish(c, &err);
	else
		pause_go_on(c);
}

void pause_go_on(struct container *c)
{
	if (c->pausing && c->pausing->events < 0 && !exec_starting(c))
		go(c);
}

void container_pause(struct container *c, struct ttrpc_call *call)
{
	if (c->state == CONTAINER_RUNNING)
		begin(c, CONTAINER_PAUSING, call);
	else
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is %s, not running",
			   c->id, container_state_name(c));
}

void container_resume(struct container *c, struct ttrpc_call *call)
{
	if (c->state == CONTAINER_PAUSED)
		begin(c, CONTAINER_RESUMING, call);
	else
		ttrpc_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is %s, not paused", c->id,
			   container_state_name(c));
}

void pause_ended(struct container *c)
{
	struct qbx_err err = { 0 };

	err_code(&err, EX_CONFIG, "container %s has ended", c->id);
	if (c->pausing)
		finish(c, &err);
	seal_end(c);
}
