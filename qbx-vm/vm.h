/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - private to qbx-vm
 *
 * plan.c turns the document into a struct vm_spec, argv.c and machine.c that into QEMU's command line, boot.c
 * starts it and waits for the guest's hello, task.c runs a container in it, halt.c ends it.
 */
#ifndef QBX_VM_H
#define QBX_VM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "cgroup.h"
#include "cli.h"
#include "confine.h"
#include "guest.h"
#include "loop.h"
#include "phase.h"
#include "proc.h"
#include "size.h"
#include "sock.h"
#include "vmdk.h"
#include "volumes.h"

#define VM_LINKS_MAX 4u
#define VM_DISKS_MAX (VOLUMES_MAX + 8u) /* a disk for each, and the root file system's */

/* Bounds, in milliseconds. */
#define VM_BOOT_MS 120000u /* an emulated or a nested guest may be slow, not stuck */
#define VM_DIAL_MS 10000u
#define VM_RPC_MS 30000u
#define VM_SHUTDOWN_MS 3000u /* the guest ends itself */
#define VM_FLUSH_MS 20000u   /* the same, when it may have to write a disk's contents first */
#define VM_QUIT_MS 2000u     /* QEMU ends when asked */
#define VM_PIPE_MS 2000u     /* from the loss of stdout's reader to the end of the container */
#define VM_GONE_MS 2000u     /* from the loss of the guest to the end of QEMU */
#define VM_KILL_MS 10000u    /* the kernel ends it */

#define VM_SIGNALS_MAX 3u /* so many SIGINT, SIGTERM or SIGHUP end a run that ignores them */

/* Files in the box's directory, beside those that guest.h and box.h know. */
#define VM_FILE_VM "vm.json"
#define VM_FILE_BOX "box.json"
#define VM_FILE_TOKEN "token"
#define VM_FILE_CONSOLE "console.log"
#define VM_FILE_QEMU_LOG "qemu.log"
#define VM_FILE_QMP "qmp.sock"
#define VM_FILE_EVENTS "events.sock"
#define VM_FILE_CONSOLE_OLD "console.log.1"
#define VM_FILE_VSOCK_LOG "vsock.log"
#define VM_FILE_SHARE_LOG "virtiofsd.log"
#define VM_FILE_SHARE "virtiofsd.sock" /* while it is being connected */

/* The daemon's directory, all that it can write to, and the files in it. */
#define VM_DIR_VSOCK "vsock"
#define VM_VSOCK_UDS "vsock.sock"	 /* GUEST_VSOCK */
#define VM_VSOCK_HELLO "vsock.sock_1023" /* where the daemon passes calls to VM_HELLO_PORT on to */
#define VM_VSOCK_VHOST "vhost.sock"
#define VM_VSOCK_VHOST_BOUND "vhost.bound"

#define VM_CLAIM_UID "uid" /* kinds of claims */
#define VM_CLAIM_CID "cid"

#define VM_HELLO_PORT 1023u /* with vhost-user; any will do, as each box has sockets of its own */

/* ---- accel.c ---- */

enum accel { ACCEL_KVM, ACCEL_TCG };

/**
 * accel_choose() - what "kvm", "tcg" or "auto" comes to on this machine
 * KVM needs /dev/kvm and a CPU that shows vmx or svm: a /dev/kvm that opens may belong to a
 * hypervisor that runs only kernels built for it. "auto" falls back to TCG with a warning.
 * Return: 0, or -1 with @err (EX_DATAERR, EX_UNAVAILABLE, EX_NOPERM).
 */
int accel_choose(const char *wanted, enum accel *accel, struct qbx_err *err) _must_check_;

/** accel_cpu_virtualises() - do the flags of this /proc/cpuinfo text hold vmx or svm? */
bool accel_cpu_virtualises(const char *cpuinfo);

const char *accel_name(enum accel accel);

/* ---- plan.c ---- */

struct vm_link {
	const char *tap, *mac; /* borrowed from the document */
	unsigned queues;       /* of the TAP, each a descriptor; 0: it cannot have several */
	bool vhost;	       /* as many descriptors of /dev/vhost-net follow the TAP's */
};

struct vm_disk {
	const char *serial, *path; /* borrowed from the document */
	bool vmdk, readonly;
	bool block;	      /* the host has it as a block device */
	struct vmdk *extents; /* of a VMDK; owned */
	const json_t *inodes; /* "DEV:INO" of the file, or of each extent; borrowed; or NULL */
};

/* A VM, before anything of it exists. Paths are absolute. */
struct vm_spec {
	enum accel accel;
	enum machine machine;
	unsigned vcpus, vcpus_max;	      /* online at boot, and at most */
	unsigned memory_mib, memory_max_mib;  /* at boot, and at most */
	uint64_t cpu_quota_us, cpu_period_us; /* what the host's cgroup is to hold; 0: no quota */
	char qemu[PATH_MAX], kernel[PATH_MAX], initrd[PATH_MAX];
	char dir[PATH_MAX];  /* the box's */
	const char *netns;   /* path, or NULL for ours */
	bool vhost_user;     /* vsock by vhost-device-vsock, not by the kernel */
	unsigned cid;	     /* vhost-vsock: known when its device is open */
	unsigned hello_port; /* where the guest dials the host */
	bool debug;
	bool monitor;	  /* a third monitor, on a descriptor that our caller gave us */
	unsigned tsc_khz; /* told to an emulated guest; 0: it measures by itself */
	struct vm_link links[VM_LINKS_MAX];
	size_t nlinks;
	struct vm_disk disks[VM_DISKS_MAX];
	size_t ndisks;
	struct volume shares[VOLUMES_MAX]; /* borrow from the document */
	size_t nshares;
	char virtiofsd[PATH_MAX]; /* with shares */
	/* Confinement on the host. */
	unsigned relaxed;      /* enum confine_part, or-ed */
	unsigned uid;	       /* known when it is claimed; 0 if that is relaxed */
	char cgroup[PATH_MAX]; /* as cgroup.h has it, or empty: there is to be none */
};

/**
 * plan_make() - what the document and the configuration ask for, checked
 * Touches nothing. Strings in @spec are borrowed from @box.
 * Return: 0, or -1 with @err.
 */
int plan_make(struct vm_spec *spec, const struct cli *cli, const struct box *box,
	      struct qbx_err *err) _must_check_;

/** plan_devices() - the part of plan_make() that reads "net" and "fs" of a document. */
int plan_devices(struct vm_spec *spec, const json_t *doc, struct qbx_err *err) _must_check_;

/*
 * plan_find_program() - look for a program in PATH
 * plan_find_qemu() - where the configuration says, else in share_dir, else in PATH
 * plan_find_virtiofsd() - in PATH, else where distributions have it
 * plan_find_guest() - kernel and initrd in share_dir, readable
 * Each path has PATH_MAX bytes. Return: true, or 0; false, or -1 with @err.
 */
bool plan_find_program(char *found, const char *name) _must_check_;
int plan_find_qemu(char *path, const struct config *cfg, struct qbx_err *err) _must_check_;
int plan_find_virtiofsd(char *path, struct qbx_err *err) _must_check_;
int plan_find_guest(char *kernel, char *initrd, const struct config *cfg,
		    struct qbx_err *err) _must_check_;

/** plan_free() - what a spec owns. */
void plan_free(struct vm_spec *spec);

/* ---- dryrun.c ---- */

/** plan_print() - --dry-run: the commands that would be run, as a shell would take them. */
int plan_print(const struct vm_spec *spec, const struct config *cfg,
	       struct qbx_err *err) _must_check_;

/* ---- hold.c ---- */

/** hold_plan() - what of the host's the box is to hold: its cgroup, and what is relaxed. */
int hold_plan(struct vm_spec *spec, const struct config *cfg, const struct box *box,
	      struct qbx_err *err) _must_check_;

/** hold_limits() - what the VM of @spec may use on the host, QEMU included. */
struct cgroup_limits hold_limits(const struct vm_spec *spec);

struct vm;

/** hold_take() - claim a uid, write that down, make the cgroup. */
int hold_take(struct vm *vm, struct qbx_err *err) _must_check_;

/**
 * hold_quota() - from now on the VM has the processor time of its container; a boot has what it needs
 * A quota that cannot be set is a line in the log, as are the limits of hold_take().
 */
void hold_quota(const struct vm *vm);

/**
 * hold_release() - give back all that the box holds, when its processes are gone
 * @dirfd: the box's directory, whose vm.json may say what it holds; or -1
 */
int hold_release(const struct config *cfg, const struct box *box, int dirfd,
		 struct qbx_err *err) _must_check_;

/* ---- machine.c ---- */

/*
 * What QMP knows these devices by. Memory grows by qom-set of "requested-size", in bytes, on
 * /machine/peripheral/vmem0: up to memory_max_mib less memory_mib, in steps of 2 MiB.
 */
#define VM_ID_BALLOON "balloon0"
#define VM_ID_MEMORY "vmem0" /* there if memory_max_mib is more than memory_mib */

/** machine_bus() - how the names of its virtio devices end: "device" or "pci". */
const char *machine_bus(const struct vm_spec *spec);

/** machine_slots() - how many links and disks it has room for; all shares together take one. */
unsigned machine_slots(enum machine machine);

/** machine_disk_place() - options of a disk's device that say where on the bus it is, or "". */
void machine_disk_place(const struct vm_spec *spec, size_t disk, char *buf, size_t size);

/**
 * machine_plugs_vcpus() - are processors plugged in and out, or all there and offline at first?
 * Plugged: those without a qom-path in query-hotpluggable-cpus, by device_add with its type and props.
 * Else all of them have one, and the guest has to bring them online.
 */
bool machine_plugs_vcpus(const struct vm_spec *spec);

/** machine_cmdline() - what its kernel is told beyond vm_cmdline(), each with a blank before it. */
void machine_cmdline(const struct vm_spec *spec, char *buf, size_t size);

struct argv;

/** machine_argv() - the machine, its processors and its memory. */
void machine_argv(struct argv *a, const struct vm_spec *spec);

/** machine_devices() - the devices that every such machine has. */
void machine_devices(struct argv *a, const struct vm_spec *spec);

/* ---- tsc.c ---- */

/* What counter and clock showed at one moment. */
struct tsc_mark {
	uint64_t tsc, ns;
};

void tsc_mark(struct tsc_mark *m);

/** tsc_khz_since() - the counter's rate between @m and now, or 0 if either stood still. */
unsigned tsc_khz_since(const struct tsc_mark *m);

/* ---- argv.c ---- */

/* Numbers that descriptors have in QEMU; those of links and disks follow. */
enum { VM_FD_CONSOLE = 3, VM_FD_QMP, VM_FD_EVENTS, VM_FD_MONITOR, VM_FD_VSOCK, VM_FD_FIRST };

/**
 * vm_link_fd(), vm_disk_fd() - the number of a link's TAP or a disk
 * Further queues of the TAP follow it, and then vhost-net, queue by queue. The extents of a VMDK follow it. Those of what would come after the last are where the end is.
 */
int vm_link_fd(const struct vm_spec *spec, size_t link);
int vm_disk_fd(const struct vm_spec *spec, size_t disk);

/** vm_link_queues() - how many descriptors of its TAP a link has. */
unsigned vm_link_queues(const struct vm_link *link);

/** vm_share_fd() - the number of virtiofsd's connection, where there is one; else of the end. */
int vm_share_fd(const struct vm_spec *spec);

/** vm_fds() - how many numbers of descriptors there are. */
int vm_fds(const struct vm_spec *spec);

/** vm_cmdline() - the guest kernel's command line. Return: 0, or -1 if @size is too small. */
int vm_cmdline(const struct vm_spec *spec, char *buf, size_t size) _must_check_;

/** vm_argv() - QEMU's command line. Return: NULL-terminated, for strv_free(), or NULL. */
char **vm_argv(const struct vm_spec *spec) _must_check_;

/** vsock_argv() - vhost-device-vsock's, to be run in VM_DIR_VSOCK. */
const char *const *vsock_argv(void);

/** virtiofsd_argv() - virtiofsd's, which listens on VM_FD_LISTEN; valid until the next call. */
const char *const *virtiofsd_argv(const struct vm_spec *spec);

#define VM_FD_LISTEN 3

void strv_free(char **v);

/* ---- tap.c ---- */

/**
 * tap_open() - the queues of an existing TAP device in another network namespace
 * @netns: descriptor of the namespace. The caller's own is entered again before it returns.
 * @fds: room for vm_link_queues(@link); gets a descriptor each, also of those opened before a failure
 * Return: 0, or -1 with @err.
 */
int tap_open(int netns, const struct vm_link *link, int *fds, struct qbx_err *err) _must_check_;

/* ---- hello.c ---- */

/* What the guest says of itself: checked, and its text cleaned. */
struct hello {
	uint64_t boot_us, memory_kib;
	unsigned cpus;
	char kernel[65];
};

/** hello_decode() - a Hello message without its length. Return: 0, or -1 with @err (EX_DATAERR). */
int hello_decode(const uint8_t *buf, size_t len, struct hello *h, struct qbx_err *err) _must_check_;

/**
 * hello_answer() - the Boot message for a box, its length in front
 * @token: GUEST_TOKEN_LEN bytes. Addresses and names come from the document's "net".
 * Return: 0 with a malloc'ed @buf, or -1 with @err.
 */
int hello_answer(const struct box *box, const uint8_t *token, uint8_t **buf, size_t *len,
		 struct qbx_err *err) _must_check_;

/** hello_refuse() - the Boot message that tells the guest why not. */
int hello_refuse(const char *why, uint8_t **buf, size_t *len, struct qbx_err *err) _must_check_;

/* ---- greet.c ---- */

struct greet;

/** greet_done_fn - the guest has had its answer, or the greeting failed for good (@err set). */
typedef void greet_done_fn(void *arg, const struct hello *hello, const struct qbx_err *err);

/**
 * greet_start() - wait for the guest's hello and answer it
 * @listener: taken over; closed as soon as the right peer has come
 * @cid: the peer that is believed, on AF_VSOCK; 0 there is none
 * @pid: the process that is believed, on AF_UNIX
 * @box, @token: for hello_answer(); borrowed
 */
struct greet *greet_start(struct loop *loop, int listener, unsigned cid, pid_t pid,
			  const struct box *box, const uint8_t *token, greet_done_fn *done,
			  void *arg, struct qbx_err *err) _must_check_;

void greet_free(struct greet *g); /* NULL is allowed */

/* ---- vsock.c ---- */

/** vsock_by_vhost_user() - which transport the configuration and this machine come to. */
int vsock_by_vhost_user(const struct config *cfg, bool *vhost_user,
			struct qbx_err *err) _must_check_;

/**
 * vsock_listen() - where the guest will dial; sets spec->hello_port
 * For vhost-user, VM_DIR_VSOCK is made and given to spec->uid.
 * Return: listening descriptor, or -1 with @err.
 */
int vsock_listen(struct vm_spec *spec, int dirfd, struct qbx_err *err) _must_check_;

/**
 * vsock_claim_cid() - a /dev/vhost-vsock descriptor holding a CID of its own; sets spec->cid
 * The kernel has the last word: other programs use CIDs, too.
 */
int vsock_claim_cid(struct vm_spec *spec, const struct config *cfg, const char *key,
		    struct qbx_err *err) _must_check_;

/**
 * vsock_connect() - connect to the daemon whose socket has just appeared
 * @dirfd: the box's directory
 * @pidfd: the daemon
 */
int vsock_connect(int dirfd, pid_t pid, int pidfd, struct qbx_err *err) _must_check_;

/* ---- vm.c ---- */

/* A VM and what this process holds of it. */
struct vm {
	struct tsc_mark born;
	const struct config *cfg;
	struct box *box;
	struct vm_spec spec;
	struct phases phases;
	struct loop *loop;
	int dirfd;
	bool made_dir;
	bool die_with_us;
	int monitor; /* QEMU's end of a socket pair, until it runs; -1: none */
	int pidfd;   /* QEMU's, where it is not our child; else -1 */
	struct proc_id qemu, helper, share; /* pid 0: not there */
	struct watch *qemu_watch, *helper_watch, *share_watch, *signals;
	struct watch *share_rest; /* it has ended: QEMU may have been first */
	bool qemu_gone, helper_gone, share_gone;
	int qemu_status; /* as proc_exit_status() gives it; -1: it is not our child */
	int signal;	 /* the last one that came, or 0 */
	struct hello hello;
	uint8_t token[GUEST_TOKEN_LEN];
	/* Called when QEMU or the helper ends, or a signal comes; boot and foreground set it in turn. */
	void (*notify)(void *arg);
	void *notify_arg;
};

/** vm_init() - empty, with a loop that watches SIGINT, SIGTERM and SIGHUP. */
int vm_init(struct vm *vm, const struct cli *cli, struct box *box,
	    struct qbx_err *err) _must_check_;

/**
 * vm_attach() - the same for a VM that runs already, and goes on without us
 * The document gets the "vm" object that is true now.
 */
int vm_attach(struct vm *vm, const struct cli *cli, struct box *box,
	      struct qbx_err *err) _must_check_;

/** vm_release() - forget it; the processes and files are left as they are. */
void vm_release(struct vm *vm);

/**
 * vm_watch_qemu(), vm_watch_helper(), vm_watch_share() - notice the end of the process
 * @pidfd: taken over
 */
int vm_watch_qemu(struct vm *vm, int pidfd, struct qbx_err *err) _must_check_;
int vm_watch_helper(struct vm *vm, int pidfd, struct qbx_err *err) _must_check_;
int vm_watch_share(struct vm *vm, int pidfd, struct qbx_err *err) _must_check_;

/** vm_unwatch() - their end is no news any more. */
void vm_unwatch(struct vm *vm);

/** vm_why_gone() - say in @err what ended QEMU or its helper, in their own words. Return: -1. */
int vm_why_gone(const struct vm *vm, struct qbx_err *err);

/* ---- record.c ---- */

/** vm_object() - the "vm" key of qbx-json(7), as far as it is known; new reference. */
json_t *vm_object(const struct vm *vm);

/** vm_record() - write it down as vm.json. */
int vm_record(const struct vm *vm, struct qbx_err *err) _must_check_;

/* ---- boot.c ---- */

/**
 * vm_boot() - start the VM of vm->spec and wait until its guest is ready
 * On success the document has its "vm" key. On failure all of it is undone.
 */
int vm_boot(struct vm *vm, struct qbx_err *err) _must_check_;

/* ---- dir.c ---- */

/**
 * dir_enter() - open the box's directory and take its lock
 * @made: NULL to not make the directory; else told whether this call made it
 * @lock: set to a descriptor that the caller closes
 * Return: directory descriptor, or -1 with @err (err->sys is ENOENT if it is absent).
 */
int dir_enter(const struct config *cfg, const struct box *box, bool *made, int *lock,
	      struct qbx_err *err) _must_check_;

/**
 * dir_lock_again() - take the lock of a directory that dir_enter() opened earlier
 * Return: descriptor, or -1 with @err (EX_TEMPFAIL if the box was removed meanwhile).
 */
int dir_lock_again(const struct config *cfg, const struct box *box, int dirfd,
		   struct qbx_err *err) _must_check_;

/** dir_clear() - remove from it what qbx-vm makes. */
int dir_clear(int dirfd, struct qbx_err *err) _must_check_;

/* ---- halt.c ---- */

/**
 * halt_kill() - end a process for sure and wait for it, at most VM_KILL_MS
 * A process that has gone, or a pid that is another's now, is success.
 */
int halt_kill(const struct proc_id *id, struct qbx_err *err) _must_check_;

/** halt_box() - end the VM of a box, gently first: from the document or its directory alone. */
int halt_box(const struct config *cfg, const struct box *box, struct qbx_err *err) _must_check_;

/* The processes of a box; pid 0 where there is none. */
struct procs {
	struct proc_id qemu, helper, share;
};

/**
 * halt_find() - the processes of a box, from vm.json, else the document
 * @dirfd: the box's directory, or -1
 */
int halt_find(const struct box *box, int dirfd, struct procs *found,
	      struct qbx_err *err) _must_check_;

/** halt_helpers() - end those that serve QEMU. */
int halt_helpers(const struct procs *found, struct qbx_err *err) _must_check_;

/**
 * vm_object_of() - the "vm" object of vm.json, which is newer than any document, else of the document
 * Return: a new reference; NULL if there is none, or with @err.
 */
json_t *vm_object_of(const struct box *box, int dirfd, struct qbx_err *err);

/** halt_open() - the directory of a box whose VM runs. Return: descriptor, or -1 with @err. */
int halt_open(const struct config *cfg, const struct box *box, struct qbx_err *err) _must_check_;

/* ---- status.c ---- */

/**
 * status_report() - what `status` says of a box
 * @timeout_ms: for QEMU's own word
 * Return: a new reference, or NULL with @err.
 */
json_t *status_report(const struct config *cfg, const struct box *box, unsigned timeout_ms,
		      struct qbx_err *err) _must_check_;

/* ---- qmp.c ---- */

/**
 * qmp_execute() - one command without arguments over the box's qmp.sock
 * @timeout_ms: for the whole conversation
 * Return: what was returned, a new reference, or NULL with @err.
 */
json_t *qmp_execute(int dirfd, const char *command, unsigned timeout_ms,
		    struct qbx_err *err) _must_check_;

/* Several commands, and events between them. */
struct talk;

/** talk_begin() - connect to the box's qmp.sock. Return: what talk_end() ends, or NULL with @err. */
struct talk *talk_begin(int dirfd, struct qbx_err *err) _must_check_;
void talk_end(struct talk *t); /* NULL is allowed */

/**
 * talk_ask() - a command and its answer
 * @arguments: taken; NULL for none
 * Return: what was returned, a new reference, or NULL with @err.
 */
json_t *talk_ask(struct talk *t, const char *command, json_t *arguments,
		 struct qbx_err *err) _must_check_;

/** talk_is_fn - is this the event that is awaited? @data is its "data", borrowed, or NULL. */
typedef bool talk_is_fn(void *arg, const char *name, const json_t *data);

/** talk_expect() - from now on look out for an event; it may come before the next answer. */
void talk_expect(struct talk *t, talk_is_fn *is, void *arg);

/**
 * talk_await() - until that event has come, after which nothing is expected
 * Return: 0, or -1 with @err (err->sys is ETIMEDOUT after @timeout_ms).
 */
int talk_await(struct talk *t, unsigned timeout_ms, struct qbx_err *err) _must_check_;

/* ---- spec.c ---- */

/**
 * spec_make() - the OCI specification of a box's container
 * "spec" of the document, else config.json of its bundle, else a default one; "fs.process" is laid
 * over the default one, and @args, when there are any, replace the process's.
 * Return: a new reference, or NULL with @err.
 */
json_t *spec_make(const struct box *box, char *const *args, int nargs,
		  struct qbx_err *err) _must_check_;

/** spec_no_hooks() - does it do without programs of this host? Return: 0, or -1 with @err. */
int spec_no_hooks(const json_t *spec, struct qbx_err *err) _must_check_;

/* ---- foreground.c ---- */

/**
 * foreground_run() - run the box's container in the foreground
 * @spec: OCI specification
 * @with_stdin: descriptor 0 is the container's; else its stdin is empty
 * @status: set to the container's exit status
 * Return: 0, or -1 with @err (code 126 or 127 when the command cannot be run or is not found).
 */
int foreground_run(struct vm *vm, const json_t *spec, bool with_stdin, int *status,
		   struct qbx_err *err) _must_check_;

/** foreground_exec() - the same of a further process in a container that runs. */
int foreground_exec(struct vm *vm, const json_t *process, bool with_stdin, int *status,
		    struct qbx_err *err) _must_check_;

/** foreground_exit_code() - 126, 127 or EX_UNAVAILABLE, by text of a failed Create or Start. */
int foreground_exit_code(const char *message);

#endif
