/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h - the way into a running VM, as qemubox(7) "The guest protocol" has it */
#ifndef QBX_GUEST_H
#define QBX_GUEST_H

#include <stdint.h>

#include "box.h"
#include "loop.h"

#define GUEST_PROTOCOL 1u /* version in the hello; guest/manifest.sh reads it here */
#define GUEST_TOKEN_LEN 32u
#define GUEST_PORT_CONTROL 1024u /* token, then ttrpc */
#define GUEST_PORT_STREAM 1025u /* token, u32 BE stream number; the guest answers GUEST_STREAM_OK */
#define GUEST_STREAM_OK 'K'
/* vhost-device-vsock's socket in the box's directory; its own directory is the daemon's to write */
#define GUEST_VSOCK "vsock/vsock.sock"
#define GUEST_MESSAGE_MAX 65536u /* Hello and Boot: bytes after the length */
#define GUEST_TASK_SERVICE "containerd.task.v3.Task"
#define GUEST_SERVICE "qemubox.guest.v1.Guest"

/*
 * How the task API is used between host and guest, where containerd leaves room:
 *  - Create.options is an Any of GUEST_SPEC_TYPE holding the OCI config.json as text; Exec.spec is one of
 *    GUEST_PROCESS_TYPE holding an OCI process as text, as containerd has it;
 *  - stdin, stdout and stderr are "stream:N" for the stream that was dialled with number N, or "";
 *  - rootfs is mounted in order, each on "<bundle>/<target>" ("rootfs" when target is empty). A source
 *    "disk:SERIAL" is the block device with that serial. In options, upperdir, workdir and lowerdir
 *    are relative to the bundle; upperdir and workdir are made (0755) when absent, the former with
 *    the mode and owner that an option X-qemubox.root=MODE:UID:GID before it says;
 *  - Update.resources is an Any of GUEST_RESOURCES_TYPE holding linux.resources as JSON.
 */
#define GUEST_SPEC_TYPE "types.containerd.io/opencontainers/runtime-spec/1/Spec"
#define GUEST_PROCESS_TYPE "types.containerd.io/opencontainers/runtime-spec/1/Process"
#define GUEST_RESOURCES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
#define GUEST_METRICS_TYPE "io.containerd.cgroups.v2.Metrics" /* of a StatsResponse */
#define GUEST_STREAM_PREFIX "stream:"
#define GUEST_DISK_PREFIX "disk:"

/* Where a VM is reached; made by guest_open(). */
struct guest {
	int dirfd;    /* the box's directory, for GUEST_VSOCK; owned */
	unsigned cid; /* vhost-vsock; 0 where GUEST_VSOCK is used */
	unsigned uid; /* of the process that listens there */
	uint8_t token[GUEST_TOKEN_LEN];
};

/**
 * guest_open() - find the VM that a document's "vm" key describes
 * The token is read from the box's directory: it is in no document.
 * Return: 0, or -1 with @err.
 */
int guest_open(struct guest *g, const struct config *cfg, const struct box *box,
	       struct qbx_err *err) _must_check_;

/** guest_close() - also fit for _cleanup_(guest_close). */
void guest_close(struct guest *g);

/**
 * guest_dialled_fn - a connection stands, or could not be had
 * @fd: non-blocking, the callee's; -1 with @err on failure
 */
typedef void guest_dialled_fn(void *arg, int fd, const struct qbx_err *err);

struct dial;

/**
 * guest_dial() - connect to a port of the guest and show the token
 * @stream: stream number for GUEST_PORT_STREAM, else 0
 * @timeout_ms: bound on the whole of it
 * @fn: called once, from the loop, never before guest_dial() has returned
 * Return: a handle for guest_dial_cancel() (valid until @fn is called), or NULL with @err.
 */
struct dial *guest_dial(struct loop *loop, const struct guest *g, unsigned port, uint32_t stream,
			unsigned timeout_ms, guest_dialled_fn *fn, void *arg,
			struct qbx_err *err) _must_check_;

/**
 * guest_dial_cancel() - forget it, without calling back; NULL is allowed
 * Its socket may stay open for a while, for the daemon's sake.
 */
void guest_dial_cancel(struct dial *d);

/** guest_dial_drop() - the same where the VM is gone, or about to be: at once, whole. */
void guest_dial_drop(struct dial *d);

#endif
