/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - where things are: defaults, then qemubox.conf(5), then QEMUBOX_* variables */
#ifndef QBX_CONFIG_H
#define QBX_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"

/* Bounds of writable_mib, wherever it is said: a file system has to fit. */
#define CONFIG_WRITABLE_MIN_MIB 64u
#define CONFIG_WRITABLE_MAX_MIB (1u << 20)

/* Every string is borrowed from @file or from the environment. */
struct config {
	const char *share_dir;	 /* kernel, initrd, programs; /usr/share/qemubox */
	const char *run_dir;	 /* live boxes; /run/qemubox */
	const char *state_dir;	 /* leases and caches that outlive a reboot; /var/lib/qemubox */
	const char *log_dir;	 /* /var/log/qemubox */
	const char *qemu_path;	 /* NULL: share_dir/bin, then PATH */
	const char *cni_conf_dir; /* /etc/cni/net.d */
	const char *cni_bin_dir;  /* colon-separated; /opt/cni/bin:/usr/lib/cni */
	const char *cni_cache_dir; /* results, as libcni keeps them; /var/lib/cni */
	const char *cni_network;  /* NULL: the first configuration by file name */
	const char *accel;	  /* "kvm", "tcg" or "auto" */
	const char *vsock;	  /* "auto", "vhost-vsock" or "vhost-user" */
	const char *machine;	  /* "microvm" or "q35" */
	unsigned vcpus_max;	  /* most for one VM; 0: as many as the host has */
	unsigned memory_mib;	  /* of a VM whose container has no limit */
	unsigned memory_max_mib;  /* to which memory may grow where it can; 0: the container's limit */
	unsigned uid_first;	  /* the range that each VM gets a user id of its own from */
	unsigned uid_count;
	unsigned console_max_kib; /* console.log is rotated beyond this */
	const char *writable;	  /* where what a container writes goes: "disk" or "tmpfs" */
	unsigned writable_mib;	  /* how much that may be, on a disk */
	const char *relax;	  /* comma-separated: confinement to do without, see qemubox.conf(5) */
	bool debug;
	json_t *file; /* the parsed configuration file, owned */
};

/**
 * config_load() - read /etc/qemubox/config.json (or $QEMUBOX_CONFIG) and the environment
 * An unknown key or a wrong type is EX_CONFIG and names it. A missing default file is no error.
 * Return: 0, or -1 with @err.
 */
int config_load(struct config *cfg, struct qbx_err *err) _must_check_;

/** config_free() - also fit for _cleanup_(config_free). */
void config_free(struct config *cfg);

#endif
