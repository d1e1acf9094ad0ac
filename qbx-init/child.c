/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the one place where PID 1 reaps
 *
 * Theory of Operation
 *
 * Three kinds of processes end below us: programs that we started (crun), first processes of
 * containers, which become our children when the crun that made them ends, and orphans that nobody
 * asks for. Only the first two are in vm->children.
 *
 * A container's first process may end before we have learnt its pid, that is before the end of its
 * crun has been handled. It must not be thrown away as an orphan then. The kernel makes an ending
 * crun a zombie and its children ours in one step, so whenever such a child is seen, the crun can
 * be reaped as well: after a look at any orphan, the known ones get another turn, and only an
 * orphan that is still unknown afterwards is one.
 *
 * A process of an exec becomes ours while its crun still runs, as it has a parent in between. While
 * child_hold() says that there may be such ones, orphans are left unreaped.
 */
#include <errno.h>
#include <sys/wait.h>

#include "init.h"
#include "proc.h"

struct child {
	struct child *next;
	pid_t pid;
	child_fn *fn;
	void *arg;
};

/* Reap one watched child, if any has ended. Its callback may watch others. */
static bool reap_known(struct vm *vm)
{
	for (struct child **at = &vm->children; *at; at = &(*at)->next) {
		struct child *c = *at;
		int wstatus;

		if (waitpid(c->pid, &wstatus, WNOHANG) != c->pid)
			continue;
		*at = c->next;
		c->fn(c->arg, proc_exit_status(wstatus));
		free(c);
		return true;
	}
	return false;
}

static void on_sigchld(void *arg, const struct signalfd_siginfo *signal)
{
	struct vm *vm = arg;

	(void)signal;
	for (;;) {
		siginfo_t ended = { 0 };

		if (reap_known(vm))
			continue;
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || ended.si_pid == 0)
			return;
		if (reap_known(vm))
			continue;
		if (vm->holds > 0)
			return;
		waitpid(ended.si_pid, NULL, WNOHANG);
	}
}

void child_hold(struct vm *vm, bool hold)
{
	vm->holds += hold ? 1 : -1u;
}

int child_start(struct vm *vm, struct qbx_err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return loop_add_signals(vm->loop, &set, on_sigchld, vm, err) ? 0 : -1;
}

int child_watch(struct vm *vm, pid_t pid, child_fn *fn, void *arg, struct qbx_err *err)
{
	struct child *c;
	siginfo_t info;

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return err_sys(err, ESRCH, "watch process %d", (int)pid);
	c = malloc(sizeof(*c));
	if (!c)
		return err_sys(err, ENOMEM, "watch process %d", (int)pid);
	*c = (struct child){ vm->children, pid, fn, arg };
	vm->children = c;
	return 0;
}
