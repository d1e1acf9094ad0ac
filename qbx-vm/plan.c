/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - what a document and the configuration come to, before anything is touched */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "vm.h"

#define KERNEL_FILE "kernel/qemubox-kernel-x86_64"
#define INITRD_FILE "kernel/qemubox-initrd"
#define QEMU_PROGRAM "qemu-system-x86_64"
#define SERIAL_MAX 20 /* of virtio-blk */

static bool joins(char *path, const char *dir, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

static int find_share(char *path, const struct config *cfg, const char *name, struct qbx_err *err)
{
	if (!joins(path, cfg->share_dir, name))
		return err_sys(err, ENAMETOOLONG, "%s", cfg->share_dir);
	if (access(path, R_OK) == 0)
		return 0;
	err_sys(err, errno, "guest image %s", path);
	return err_hint(err, "\"make guest install\" puts it there; QEMUBOX_SHARE_DIR moves it");
}

int plan_find_guest(char *kernel, char *initrd, const struct config *cfg, struct qbx_err *err)
{
	if (find_share(kernel, cfg, KERNEL_FILE, err) < 0)
		return -1;
	return find_share(initrd, cfg, INITRD_FILE, err);
}

bool plan_find_program(char *found, const char *name)
{
	const char *dirs = getenv("PATH");
	char dir[PATH_MAX];

	for (const char *p = dirs ? dirs : ""; *p; p += strspn(p, ":")) {
		size_t len = strcspn(p, ":");

		snprintf(dir, sizeof(dir), "%.*s", (int)(len < PATH_MAX ? len : PATH_MAX - 1), p);
		p += len;
		if (dir[0] == '/' && joins(found, dir, name) && access(found, X_OK) == 0)
			return true;
	}
	return false;
}

int plan_find_qemu(char *path, const struct config *cfg, struct qbx_err *err)
{
	if (cfg->qemu_path) {
		if (snprintf(path, PATH_MAX, "%s", cfg->qemu_path) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return 0;
		err_sys(err, errno, "QEMU at %s", cfg->qemu_path);
		return err_hint(err, "that is what QEMUBOX_QEMU_PATH or the configuration says");
	}
	if (joins(path, cfg->share_dir, "bin/" QEMU_PROGRAM) && access(path, X_OK) == 0)
		return 0;
	if (plan_find_program(path, QEMU_PROGRAM))
		return 0;
	err_code(err, EX_UNAVAILABLE, QEMU_PROGRAM " is neither in %s/bin nor in PATH",
		 cfg->share_dir);
	return err_hint(err, "install it, or name it in QEMUBOX_QEMU_PATH");
}

int plan_find_virtiofsd(char *path, struct qbx_err *err)
{
	static const char *const places[] = { "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd" };

	if (plan_find_program(path, "virtiofsd"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(path, PATH_MAX, "%s", places[i]);
		if (access(path, X_OK) == 0)
			return 0;
	}
	err_code(err, EX_UNAVAILABLE, "virtiofsd is neither in PATH nor in /usr/libexec");
	return err_hint(err, "install it: it carries directories of the host into a box");
}

/* Six pairs of hexadecimal digits: it becomes part of an option. */
static bool mac_ok(const char *mac)
{
	for (int i = 0; i < 17; i++)
		if (i % 3 == 2 ? mac[i] != ':'
			       : !mac[i] || !strchr("0123456789abcdefABCDEF", mac[i]))
			return false;
	return mac[17] == '\0';
}

static bool serial_ok(const char *serial)
{
	size_t len = strlen(serial);

	return len > 0 && len <= SERIAL_MAX &&
	       strspn(serial, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") ==
		       len;
}

static int plan_links(struct vm_spec *spec, const json_t *net, struct qbx_err *err)
{
	json_t *links = json_object_get(net, "links"), *link;
	json_error_t je;
	size_t i;

	if (json_unpack_ex((json_t *)net, &je, 0, "{s?s}", "netns", &spec->netns) < 0)
		return err_code(err, EX_DATAERR, "net: %s", je.text);
	if (json_array_size(links) > VM_LINKS_MAX)
		return err_code(err, EX_DATAERR, "net.links: %zu links, at most %u",
				json_array_size(links), VM_LINKS_MAX);
	if (json_array_size(links) > 0 && !spec->netns)
		return err_code(err, EX_DATAERR, "net: \"netns\" is missing");
	json_array_foreach (links, i, link) {
		struct vm_link *l = &spec->links[i];
		json_int_t queues = 0;

		if (json_unpack_ex(link, &je, 0, "{s:s, s:s, s?I}", "tap", &l->tap, "mac", &l->mac,
				   "queues", &queues) < 0)
			return err_code(err, EX_DATAERR, "net.links: %s", je.text);
		if (json_object_get(link, "queues") && (queues < 1 || queues > SIZE_QUEUES_MAX))
			return err_code(err, EX_DATAERR, "net.links: queues %lld, at most %u",
					(long long)queues, SIZE_QUEUES_MAX);
		l->queues = (unsigned)queues;
		if (!mac_ok(l->mac))
			return err_code(err, EX_DATAERR, "net.links: mac \"%s\"", l->mac);
		l->vhost = spec->accel == ACCEL_KVM && access("/dev/vhost-net", R_OK | W_OK) == 0;
		spec->nlinks++;
	}
	return 0;
}

static int check_inodes(const struct vm_disk *d, struct qbx_err *err)
{
	size_t i, n = d->extents ? d->extents->n : 1;
	json_t *j;

	if (!d->inodes)
		return 0;
	if (json_array_size(d->inodes) != n)
		return err_code(err, EX_DATAERR, "fs.disks: %zu inodes of %zu files of %s",
				json_array_size(d->inodes), n, d->path);
	json_array_foreach (d->inodes, i, j)
		if (!json_is_string(j))
			return err_code(err, EX_DATAERR, "fs.disks: inodes of %s are no strings",
					d->path);
	return 0;
}

static int plan_disk(struct vm_disk *d, json_t *disk, struct qbx_err *err)
{
	const char *format = "raw";
	json_error_t je;
	struct stat st;
	int readonly = 1;

	if (json_unpack_ex(disk, &je, 0, "{s:s, s:s, s?s, s?b, s?o}", "serial", &d->serial, "path",
			   &d->path, "format", &format, "readonly", &readonly, "inodes",
			   &d->inodes) < 0)
		return err_code(err, EX_DATAERR, "fs.disks: %s", je.text);
	if (!serial_ok(d->serial))
		return err_code(err, EX_DATAERR, "fs.disks: serial \"%s\"", d->serial);
	if (d->path[0] != '/')
		return err_code(err, EX_DATAERR, "fs.disks: path \"%s\" is not absolute", d->path);
	if (strcmp(format, "raw") && strcmp(format, "vmdk"))
		return err_code(err, EX_DATAERR, "fs.disks: format \"%s\" is neither raw nor vmdk",
				format);
	d->vmdk = !strcmp(format, "vmdk");
	d->readonly = readonly;
	if (access(d->path, readonly ? R_OK : R_OK | W_OK) < 0)
		return err_sys(err, errno, "disk %s", d->path);
	d->block = stat(d->path, &st) == 0 && S_ISBLK(st.st_mode);
	d->extents = d->vmdk ? vmdk_read(d->path, err) : NULL;
	return d->vmdk && !d->extents ? -1 : check_inodes(d, err);
}

static int plan_volumes(struct vm_spec *spec, const json_t *volumes, struct qbx_err *err)
{
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		struct volume v;

		if (volume_read(volumes, i, &v, err) < 0)
			return -1;
		if (v.kind == VOLUME_SHARE)
			spec->shares[spec->nshares++] = v;
	}
	return spec->nshares > 0 ? plan_find_virtiofsd(spec->virtiofsd, err) : 0;
}

static int check_slots(const struct vm_spec *spec, size_t ndisks, struct qbx_err *err)
{
	unsigned slots = machine_slots(spec->machine);

	if (ndisks > VM_DISKS_MAX)
		return err_code(err, EX_DATAERR, "fs.disks: %zu disks, at most %u", ndisks,
				VM_DISKS_MAX);
	if (spec->nlinks + ndisks + (spec->nshares > 0) <= slots)
		return 0;
	err_code(err, EX_UNAVAILABLE, "%zu links%s and %zu disks, but a %s has slots for %u",
		 spec->nlinks, spec->nshares > 0 ? ", virtiofsd" : "", ndisks,
		 machine_name(spec->machine), slots);
	return err_hint(err,
			"a q35 has them for %u disks: \"io.qemubox.machine\" is the annotation",
			VM_DISKS_MAX);
}

int plan_devices(struct vm_spec *spec, const json_t *doc, struct qbx_err *err)
{
	const json_t *net = json_object_get(doc, "net"), *fs = json_object_get(doc, "fs");
	json_t *disks = json_object_get(fs, "disks"), *disk;
	size_t i;

	if (net && plan_links(spec, net, err) < 0)
		return -1;
	if (plan_volumes(spec, json_object_get(fs, "volumes"), err) < 0 ||
	    check_slots(spec, json_array_size(disks), err) < 0)
		return -1;
	json_array_foreach (disks, i, disk) {
		if (plan_disk(&spec->disks[i], disk, err) < 0)
			return -1;
		spec->ndisks++;
	}
	return 0;
}

static int plan_size(struct vm_spec *spec, const struct config *cfg, const struct box *box,
		     struct qbx_err *err)
{
	struct limits limits;
	struct size size;

	if (limits_make(&limits, cfg, box, err) < 0 || size_make(&limits, &size, NULL, err) < 0)
		return -1;
	spec->machine = size.machine;
	spec->vcpus = size.vcpus;
	spec->vcpus_max = size.vcpus_max;
	spec->memory_mib = size.memory_mib;
	spec->memory_max_mib = size.memory_max_mib;
	spec->cpu_quota_us = size.cpu_quota_us;
	spec->cpu_period_us = size.cpu_period_us;
	if (spec->memory_mib > limits.host.available_mib)
		log_warn("%u MiB of memory, but the host has only %" PRIu64 " MiB available",
			 spec->memory_mib, limits.host.available_mib);
	return 0;
}

/* What only the guest will look at is checked now, while nothing has to be undone. */
static int check_answer(const struct box *box, struct qbx_err *err)
{
	static const uint8_t token[GUEST_TOKEN_LEN];
	_cleanup_free_ uint8_t *buf = NULL;
	size_t len;

	return hello_answer(box, token, &buf, &len, err);
}

int plan_make(struct vm_spec *spec, const struct cli *cli, const struct box *box,
	      struct qbx_err *err)
{
	const struct config *cfg = &cli->cfg;
	const char *accel = json_string_value(json_object_get(box->doc, "accel"));

	memset(spec, 0, sizeof(*spec));
	spec->debug = cli->debug || cfg->debug;
	if (!joins(spec->dir, cfg->run_dir, box->key))
		return err_sys(err, ENAMETOOLONG, "%s", cfg->run_dir);
	if (accel_choose(accel ? accel : cfg->accel, &spec->accel, err) < 0 ||
	    plan_find_qemu(spec->qemu, cfg, err) < 0 ||
	    plan_find_guest(spec->kernel, spec->initrd, cfg, err) < 0 ||
	    vsock_by_vhost_user(cfg, &spec->vhost_user, err) < 0)
		return -1;
	if (plan_size(spec, cfg, box, err) < 0 || plan_devices(spec, box->doc, err) < 0 ||
	    check_answer(box, err) < 0)
		return err_wrap(err, "box %s", box->key);
	return 0;
}

void plan_free(struct vm_spec *spec)
{
	for (size_t i = 0; i < spec->ndisks; i++)
		vmdk_free(take_ptr(spec->disks[i].extents));
}
