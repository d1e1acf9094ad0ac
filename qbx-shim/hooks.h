/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - the hooks of a specification that are programs of this host
 *
 * Theory of Operation
 *
 * prestart and createRuntime run when the VM is there and before the guest makes the container,
 * poststart when it has started it, poststop when the VM has gone and before its network does.
 * createContainer and startContainer are the guest's.
 *
 * A hook is a job of the loop: the state on standard input, the environment that it names and no
 * other, the bundle as working directory, a session of its own, and a time that is bounded.
 *
 * Before the first of them begins, what poststop needs is in <bundle>/hooks.json, and with each that
 * begins its process is. So when this process is gone, "delete" ends the one that still runs and runs
 * those of poststop that have not ended, see hooks_delete(); the file goes when they have. It is in
 * the bundle, and not in the box's directory, because that goes with the VM, and this not before
 * "delete" has run.
 *
 * Source of the formats: the OCI runtime specification 1.2, config.md ("POSIX-platform Hooks") and
 * runtime.md ("State", "Lifecycle").
 */
#ifndef SHIM_HOOKS_H
#define SHIM_HOOKS_H

#include <jansson.h>
#include <stdbool.h>

#include "job.h"

#define HOOKS_FILE "hooks.json" /* in the bundle */

#define HOOKS_MAX 64u		/* of one kind */
#define HOOK_STRINGS_MAX 4096u	/* arguments, or variables, of one */
#define HOOK_TIMEOUT_S 60	/* of one that names none */
#define HOOK_TIMEOUT_MAX_S 3600 /* the most that one may name */

enum hook_kind {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_POSTSTART,
	HOOK_POSTSTOP,
	HOOK_KINDS,
};

typedef void hooks_done_fn(void *arg, const struct qbx_err *err);

/* The hooks of one container. All zero: none. */
struct hooks {
	struct jobs *jobs;
	char *bundle, *path;	   /* of the file */
	json_t *state;		   /* what does not change of it */
	json_t *lists[HOOK_KINDS]; /* arrays that were checked, or NULL */
	bool recorded;		   /* the file is there */
	size_t next;		   /* the first of poststop that has not ended */
	unsigned long long end_us; /* no hook may run longer: io_now_us(); 0: any */

	enum hook_kind kind, last; /* what runs, and up to which kind */
	size_t at;
	pid_t pid;	 /* for the state */
	struct job *job; /* NULL: none runs */
	bool stopped;
	hooks_done_fn *done;
	void *arg;
};

/* hooks.c */

/**
 * hooks_take() - move the host's hooks from a specification into @h
 * @h: all zero
 * @jobs: where they are to run; borrowed
 * @spec: changed: it is fit for the guest afterwards
 * Return: 1 if there are any, 0 if there are none, or -1 with @err (EX_DATAERR: one that is none).
 * hooks_free() takes back all of it in either case.
 */
int hooks_take(struct hooks *h, struct jobs *jobs, json_t *spec, const char *id, const char *bundle,
	       struct qbx_err *err) _must_check_;

/** hooks_free() - and end the one that runs, without calling back. */
void hooks_free(struct hooks *h);

/** hooks_name() - of a kind, as a specification has it. */
const char *hooks_name(enum hook_kind kind);

/** hooks_state() - the state as a hook of the present kind gets it; malloc'ed, or NULL. */
char *hooks_state(const struct hooks *h);

/**
 * hooks_save() - write the file
 * @running: a hook that is about to begin, or NULL
 */
int hooks_save(const struct hooks *h, const struct proc_id *running,
	       struct qbx_err *err) _must_check_;

/**
 * hooks_restore() - what a file has, to run poststop
 * @h: all zero
 * @running: set to the hook that began last; its pid is 0 if there is none
 * Return: 0, or -1 with @err. hooks_free() takes back all of it in either case.
 */
int hooks_restore(struct hooks *h, const json_t *file, struct proc_id *running,
		  struct qbx_err *err) _must_check_;

/* hooks-run.c */

/**
 * hooks_run() - run the hooks of the kinds from @first to @last, in order, one at a time
 * The first that fails is the last, except of poststop, where it is logged, and the rest are run.
 * Those of poststop run if prestart had its turn, and each of them once.
 * @pid: for the state; not of poststop
 * @done: called once, from the loop, with what failed or NULL
 * Return: 0, and @done follows; 1: there are none; or -1 with @err: the first has failed already.
 */
int hooks_run(struct hooks *h, enum hook_kind first, enum hook_kind last, pid_t pid,
	      hooks_done_fn *done, void *arg, struct qbx_err *err) _must_check_;

/** hooks_stop() - end the one that runs, if any; its done follows, with an error. */
void hooks_stop(struct hooks *h);

/* hooks-delete.c */

/** hooks_delete() - do what a dead shim has left to be done, in @ms at most; blocks. */
void hooks_delete(const char *bundle, unsigned ms);

#endif
