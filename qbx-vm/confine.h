/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.h - what a program that serves a guest is shut into
 *
 * One description for every such program, applied by confine_self() in the child, between fork and
 * exec: a root directory of its own with nothing in it but what it needs to load and run, a user of
 * its own, no capability, no way to any. What else it needs, it is given as open descriptors.
 */
#ifndef QBX_VM_CONFINE_H
#define QBX_VM_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "err.h"

#define CONFINE_BINDS_MAX 24u
#define CONFINE_TREES_MAX 64u

/* The parts that the configuration key "relax" can switch off, see qemubox.conf(5). */
enum confine_part { CONFINE_UID = 1, CONFINE_MOUNTS = 2, CONFINE_CGROUP = 4, CONFINE_SECCOMP = 8 };

/* Of what is not for running nothing can be run. */
enum confine_access { CONFINE_RUN, CONFINE_READ, CONFINE_WRITE };

/* A file or directory of the host's that the program sees, where it is or as @at. */
struct confine_bind {
	char *path;	/* owned */
	const char *at; /* NULL: the same */
	enum confine_access access;
};

/* Mounts of the host's that are taken already, as open_tree(2) gives them. */
struct confine_tree {
	int fd;	     /* owned */
	char at[24]; /* absolute, in the new root */
	bool readonly;
};

struct confine {
	unsigned relaxed;      /* enum confine_part, or-ed */
	unsigned uid;	       /* and gid; not used if CONFINE_UID is relaxed */
	uint64_t capabilities; /* a bit each; with any it stays root, which is what they are for */
	const char *
		over; /* a directory that the new root is mounted over, where nobody else sees it */
	const char *cwd; /* in the new root; NULL: its top */
	bool kvm;	 /* gets a /dev/kvm of its own */
	bool filter;	 /* system calls are filtered from outside: it has no filter of its own */
	struct confine_bind binds[CONFINE_BINDS_MAX];
	size_t nbinds;
	struct confine_tree trees[CONFINE_TREES_MAX];
	size_t ntrees;
};

/** confine_relaxed() - the parts that a checked "relax" switches off. */
unsigned confine_relaxed(const char *relax);

/** confine_warn() - one line of the log for each part that is switched off for that box. */
void confine_warn(unsigned relaxed, const char *key);

/**
 * confine_bind() - have the program see @path; nothing is done if it does so already
 * @at: where, or NULL: the same; borrowed
 * Return: 0 (also if @path is absent), or -1 with @err.
 */
int confine_bind(struct confine *c, const char *path, const char *at, enum confine_access access,
		 struct qbx_err *err) _must_check_;

/**
 * confine_program() - have it see what programs load, and the program itself
 * @program: absolute, without symlinks. Libraries and data beside it, as in PREFIX/bin,
 * PREFIX/lib and PREFIX/share/qemu, are seen as well.
 */
int confine_program(struct confine *c, const char *program, struct qbx_err *err) _must_check_;

/** confine_free() - also fit for _cleanup_(confine_free). */
void confine_free(struct confine *c);

/** confine_self() - for proc_spec.confine; @arg is a struct confine. */
const char *confine_self(void *arg);

/** confine_env() - for proc_spec.envp: of our own variables the path, and no other. */
const char *const *confine_env(void);

/* ---- filter.c ---- */

/** filter_self() - install the filter of system calls. Return: 0, or -1 with errno. */
int filter_self(void);

#endif
