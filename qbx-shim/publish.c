/* SPDX-License-Identifier: Apache-2.0 */
/* publish.c - the events of a task: containerd.events.Task* */
#include "container.h"
#include "events.h"

void publish_create(const struct container *c)
{
	Qemubox__Task__TaskCreate m = QEMUBOX__TASK__TASK_CREATE__INIT;
	Qemubox__Task__TaskIO io = QEMUBOX__TASK__TASK_IO__INIT;

	io.stdin = c->init.io.f[FIFO_STDIN].path;
	io.stdout = c->init.io.f[FIFO_STDOUT].path;
	io.stderr = c->init.io.f[FIFO_STDERR].path;
	io.terminal = c->init.terminal;
	m.container_id = c->id;
	m.bundle = c->bundle;
	m.io = &io;
	m.pid = (uint32_t)c->pid;
	events_publish(c->shim->events, "/tasks/create", "containerd.events.TaskCreate", &m.base);
}

void publish_start(const struct container *c)
{
	Qemubox__Task__TaskStart m = QEMUBOX__TASK__TASK_START__INIT;

	m.container_id = c->id;
	m.pid = (uint32_t)c->pid;
	events_publish(c->shim->events, "/tasks/start", "containerd.events.TaskStart", &m.base);
}

void publish_exec_added(const struct process *p)
{
	Qemubox__Task__TaskExecAdded m = QEMUBOX__TASK__TASK_EXEC_ADDED__INIT;

	m.container_id = p->container->id;
	m.exec_id = p->exec_id;
	events_publish(p->container->shim->events, "/tasks/exec-added",
		       "containerd.events.TaskExecAdded", &m.base);
}

void publish_exec_started(const struct process *p)
{
	Qemubox__Task__TaskExecStarted m = QEMUBOX__TASK__TASK_EXEC_STARTED__INIT;

	m.container_id = p->container->id;
	m.exec_id = p->exec_id;
	m.pid = (uint32_t)p->container->pid;
	events_publish(p->container->shim->events, "/tasks/exec-started",
		       "containerd.events.TaskExecStarted", &m.base);
}

/* Of the first process it is the container's: both ids are the same then. */
void publish_exit(const struct process *p)
{
	Qemubox__Task__TaskExit m = QEMUBOX__TASK__TASK_EXIT__INIT;
	Google__Protobuf__Timestamp at;

	m.container_id = p->container->id;
	m.id = p->exec_id[0] ? p->exec_id : p->container->id;
	m.pid = (uint32_t)p->container->pid;
	m.exit_status = p->exit_status;
	m.exited_at = timestamp(&at, &p->exited_at);
	events_publish(p->container->shim->events, "/tasks/exit", "containerd.events.TaskExit",
		       &m.base);
}

void publish_delete(const struct container *c)
{
	Qemubox__Task__TaskDelete m = QEMUBOX__TASK__TASK_DELETE__INIT;
	Google__Protobuf__Timestamp at;

	m.container_id = c->id;
	m.pid = (uint32_t)c->pid;
	m.exit_status = c->init.exit_status;
	m.exited_at = timestamp(&at, &c->init.exited_at);
	events_publish(c->shim->events, "/tasks/delete", "containerd.events.TaskDelete", &m.base);
}

void publish_oom(const struct container *c)
{
	Qemubox__Task__TaskOOM m = QEMUBOX__TASK__TASK_OOM__INIT;

	m.container_id = c->id;
	events_publish(c->shim->events, "/tasks/oom", "containerd.events.TaskOOM", &m.base);
}

void publish_paused(const struct container *c)
{
	Qemubox__Task__TaskPaused m = QEMUBOX__TASK__TASK_PAUSED__INIT;

	m.container_id = c->id;
	events_publish(c->shim->events, "/tasks/paused", "containerd.events.TaskPaused", &m.base);
}

void publish_resumed(const struct container *c)
{
	Qemubox__Task__TaskResumed m = QEMUBOX__TASK__TASK_RESUMED__INIT;

	m.container_id = c->id;
	events_publish(c->shim->events, "/tasks/resumed", "containerd.events.TaskResumed", &m.base);
}
