/* SPDX-License-Identifier: Apache-2.0 */
/* argv.c - QEMU's command line, from a plan and nothing else */
#include <stdarg.h>
#include <string.h>

#include "argv.h"
#include "vm.h"

void strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

/* Takes @word, which may be NULL when memory was short. */
static void take(struct argv *a, char *word)
{
	char **grown = realloc(a->v, (a->n + 2) * sizeof(*a->v));

	if (grown)
		a->v = grown;
	if (!grown || !word) {
		a->failed = true;
		free(word);
		return;
	}
	a->v[a->n++] = word;
	a->v[a->n] = NULL;
}

void argv_add(struct argv *a, const char *fmt, ...)
{
	char *word;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&word, fmt, ap) < 0)
		word = NULL;
	va_end(ap);
	take(a, word);
}

unsigned vm_link_queues(const struct vm_link *link)
{
	return link->queues ? link->queues : 1;
}

int vm_link_fd(const struct vm_spec *spec, size_t link)
{
	int fd = VM_FD_FIRST;

	for (size_t i = 0; i < link; i++)
		fd += (int)vm_link_queues(&spec->links[i]) * (spec->links[i].vhost ? 2 : 1);
	return fd;
}

int vm_disk_fd(const struct vm_spec *spec, size_t disk)
{
	int fd = vm_link_fd(spec, spec->nlinks);

	for (size_t i = 0; i < disk; i++)
		fd += 1 + (spec->disks[i].extents ? (int)spec->disks[i].extents->n : 0);
	return fd;
}

int vm_share_fd(const struct vm_spec *spec)
{
	return vm_disk_fd(spec, spec->ndisks);
}

int vm_fds(const struct vm_spec *spec)
{
	return vm_share_fd(spec) + (spec->nshares > 0);
}

int vm_cmdline(const struct vm_spec *spec, char *buf, size_t size)
{
	/*
	 * A panic, which an oops is too, reboots by a triple fault, which -no-reboot turns into
	 * QEMU's end. What the kernel says goes to hvc0, and with debug to the serial port as well,
	 * long before hvc0 is there.
	 */
	char machine[128];
	int n;

	machine_cmdline(spec, machine, sizeof(machine));
	n = snprintf(buf, size,
		     "%sconsole=hvc0 panic=-1 oops=panic reboot=t no_timer_check "
		     "tsc=reliable %s qbx.port=%u%s",
		     spec->debug ? "earlyprintk=serial,ttyS0,115200 ignore_loglevel " : "",
		     spec->debug ? "" : "loglevel=4", spec->hello_port, machine);

	if (n >= 0 && (size_t)n < size && spec->accel == ACCEL_TCG && spec->tsc_khz)
		n += snprintf(buf + n, size - (size_t)n, " tsc_early_khz=%u", spec->tsc_khz);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

static void add_confinement(struct argv *a, const struct vm_spec *spec)
{
	static const char *const words[] = {
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		argv_add(a, "%s", words[i]);
	if (spec->relaxed & CONFINE_SECCOMP)
		return;
	argv_add(a, "-sandbox");
	argv_add(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void add_kernel(struct argv *a, const struct vm_spec *spec)
{
	char line[512];

	if (vm_cmdline(spec, line, sizeof(line)) < 0)
		a->failed = true;
	argv_add(a, "-kernel");
	argv_add(a, "%s", spec->kernel);
	argv_add(a, "-initrd");
	argv_add(a, "%s", spec->initrd);
	argv_add(a, "-append");
	argv_add(a, "%s", line);
}

/* The guest's console is a file of ours, opened by us; QEMU only appends to it. */
static void add_console(struct argv *a, const struct vm_spec *spec)
{
	argv_add(a, "-add-fd");
	argv_add(a, "fd=%d,set=%d", VM_FD_CONSOLE, VM_FD_CONSOLE);
	argv_add(a, "-chardev");
	argv_add(a, "file,id=console,path=/dev/fdset/%d,append=on", VM_FD_CONSOLE);
	argv_add(a, "-device");
	argv_add(a, "virtio-serial-%s,max_ports=1", machine_bus(spec));
	argv_add(a, "-device");
	argv_add(a, "virtconsole,chardev=console");
	if (!spec->debug)
		return;
	argv_add(a, "-serial");
	argv_add(a, "stdio");
}

static void add_monitor(struct argv *a, const char *name, int fd, bool listening)
{
	argv_add(a, "-chardev");
	argv_add(a, "socket,id=%s,fd=%d%s", name, fd, listening ? ",server=on,wait=off" : "");
	argv_add(a, "-mon");
	argv_add(a, "chardev=%s,mode=control", name);
}

/*
 * One for whoever started the VM, one for short commands, one for who listens to events. The sockets
 * listen before QEMU starts: nobody has to wait for them to appear.
 */
static void add_monitors(struct argv *a, const struct vm_spec *spec)
{
	if (spec->monitor)
		add_monitor(a, "monitor", VM_FD_MONITOR, false);
	add_monitor(a, "qmp", VM_FD_QMP, true);
	add_monitor(a, "events", VM_FD_EVENTS, true);
}

static void add_vsock(struct argv *a, const struct vm_spec *spec)
{
	if (spec->vhost_user) {
		argv_add(a, "-chardev");
		argv_add(a, "socket,id=vsock,fd=%d", VM_FD_VSOCK);
		argv_add(a, "-device");
		argv_add(a, "vhost-user-vsock-%s,chardev=vsock", machine_bus(spec));
	} else {
		argv_add(a, "-device");
		argv_add(a, "vhost-vsock-%s,guest-cid=%u,vhostfd=%d", machine_bus(spec), spec->cid,
			 VM_FD_VSOCK);
	}
}

/* ",fd=7", or of several ",fds=7:8:9". */
static void list_fds(char *buf, size_t size, const char *option, int first, unsigned n)
{
	size_t len = (size_t)snprintf(buf, size, ",%s%s=", option, n > 1 ? "s" : "");

	for (unsigned i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%d", i ? ":" : "",
					first + (int)i);
}

/* With more than one queue the device has two interrupts for each, where it has messages (PCI). */
static void add_link(struct argv *a, const struct vm_spec *spec, size_t i)
{
	const struct vm_link *l = &spec->links[i];
	unsigned queues = vm_link_queues(l);
	char taps[64], vhosts[64] = "";
	int fd = vm_link_fd(spec, i);

	list_fds(taps, sizeof(taps), "fd", fd, queues);
	if (l->vhost)
		list_fds(vhosts, sizeof(vhosts), "vhostfd", fd + (int)queues, queues);
	argv_add(a, "-netdev");
	argv_add(a, "tap,id=link%zu%s,vhost=%s%s", i, taps, l->vhost ? "on" : "off", vhosts);
	argv_add(a, "-device");
	argv_add(a, "virtio-net-%s,netdev=link%zu,mac=%s%s", machine_bus(spec), i, l->mac,
		 queues > 1 ? ",mq=on" : "");
}

/*
 * What the guest discards of a disk that it writes to is given back to the host. If the host has no
 * room, the guest is told of an error, and stops writing; the default would stop the VM, for good.
 * The rest is as QEMU has it: the host's page cache, flushed when the guest says so, so that a power cut
 * costs no more than on any host; threads, as io_uring was no faster (200 MB with fsync: 1.6 s either
 * way); and no look for zeros in what is written.
 */
static const char *writing(const struct vm_disk *d, const char *options)
{
	return d->readonly ? "" : options;
}

/* A disk comes as a descriptor, and so does each extent of a VMDK, whose description names those. */
static void add_disk(struct argv *a, const struct vm_spec *spec, size_t i)
{
	const struct vm_disk *d = &spec->disks[i];
	const char *ro = d->readonly ? "on" : "off";
	int fd = vm_disk_fd(spec, i);
	char place[64];

	for (int set = fd; set < vm_disk_fd(spec, i + 1); set++) {
		argv_add(a, "-add-fd");
		argv_add(a, "fd=%d,set=%d", set, set);
	}
	argv_add(a, "-blockdev");
	argv_add(a, "driver=%s,node-name=file%zu,read-only=%s,filename=/dev/fdset/%d%s",
		 d->block ? "host_device" : "file", i, ro, fd, writing(d, ",discard=unmap"));
	argv_add(a, "-blockdev");
	argv_add(a, "driver=%s,node-name=disk%zu,read-only=%s,file=file%zu%s",
		 d->vmdk ? "vmdk" : "raw", i, ro, i, writing(d, ",discard=unmap"));
	argv_add(a, "-device");
	machine_disk_place(spec, i, place, sizeof(place));
	argv_add(a, "virtio-blk-%s,drive=disk%zu,serial=%s%s%s", machine_bus(spec), i, d->serial,
		 writing(d, ",werror=report"), place);
}

/* All directories of the host's are one device; how many requests wait is the guest's memory. */
static void add_share(struct argv *a, const struct vm_spec *spec)
{
	argv_add(a, "-chardev");
	argv_add(a, "socket,id=volumes,fd=%d", vm_share_fd(spec));
	argv_add(a, "-device");
	argv_add(a, "vhost-user-fs-%s,chardev=volumes,tag=" VOLUMES_SHARES ",queue-size=512",
		 machine_bus(spec));
}

char **vm_argv(const struct vm_spec *spec)
{
	struct argv a = { 0 };

	argv_add(&a, "%s", spec->qemu);
	/* The shim knows the processors' threads by their names. */
	argv_add(&a, "-name");
	argv_add(&a, "debug-threads=on");
	machine_argv(&a, spec);
	add_confinement(&a, spec);
	add_kernel(&a, spec);
	add_console(&a, spec);
	add_monitors(&a, spec);
	add_vsock(&a, spec);
	for (size_t i = 0; i < spec->nlinks; i++)
		add_link(&a, spec, i);
	for (size_t i = 0; i < spec->ndisks; i++)
		add_disk(&a, spec, i);
	if (spec->nshares > 0)
		add_share(&a, spec);
	machine_devices(&a, spec);
	if (!a.failed)
		return a.v;
	strv_free(a.v);
	return NULL;
}

const char *const *vsock_argv(void)
{
	/* The CID is private to this daemon and its VM: every box can have the same one. */
	static const char *const argv[] = {
		"vhost-device-vsock", "--guest-cid", "3",	   "--socket",
		VM_VSOCK_VHOST,	      "--uds-path",  VM_VSOCK_UDS, NULL,
	};

	return argv;
}

const char *const *virtiofsd_argv(const struct vm_spec *spec)
{
	/*
	 * A handle leads to any file of its file system, also outside of the directory, and opening
	 * one takes a capability for that: so files are held open instead.
	 */
	static const char *argv[] = {
		NULL,
		("--shared-dir=/" VOLUMES_SHARES),
		"--fd=3",
		"--sandbox=namespace",
		"--seccomp=kill",
		"--modcaps=-mknod:-setfcap",
		"--inode-file-handles=never",
		"--rlimit-nofile=0",
		"--cache=auto",
		"--xattr",
		"--announce-submounts",
		"--log-level=error",
		NULL,
	};

	argv[0] = spec->virtiofsd;
	argv[4] = spec->relaxed & CONFINE_SECCOMP ? "--seccomp=none" : "--seccomp=kill";
	return argv;
}
