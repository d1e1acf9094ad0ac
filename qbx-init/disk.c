/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c - block devices by serial number, as the host names them
 *
 * A disk may hold several images, one behind the other, without a table that says so: the host tells
 * where each begins, and the kernel is asked for a partition there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/blkpg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "diskname.h"
#include "io.h"
#include "rootfs.h"

#define PAGE_HEADER 4 /* of a SCSI vital product data page, before the serial number */

/* A disk's serial: "serial" of virtio-blk, or page 0x80 of a SCSI disk. */
static bool has_serial(int block, const char *disk, const char *serial)
{
	char path[DISK_PATH_MAX];
	char text[256] = { 0 };
	_cleanup_close_ int fd = -1;
	const char *its = text;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/serial", disk);
	fd = openat(block, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "%s/device/vpd_pg80", disk);
		fd = openat(block, path, O_RDONLY | O_CLOEXEC);
		its = text + PAGE_HEADER;
	}
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= its - text)
		return false;
	text[strcspn(text + (its - text), " \n") + (size_t)(its - text)] = '\0';
	return !strcmp(its, serial);
}

/* Find the disk: its name in /sys/block. */
static int find(const char *serial, char name[NAME_MAX + 1], struct qbx_err *err)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/block");
	struct dirent *e;

	if (!d)
		return err_sys(err, errno, "list /sys/block");
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !has_serial(dirfd(d), e->d_name, serial))
			continue;
		snprintf(name, NAME_MAX + 1, "%s", e->d_name);
		return 0;
	}
	err_code(err, EX_UNAVAILABLE, "no disk has the serial \"%.64s\"", serial);
	return err_hint(err, "the box document's fs.disks names the disks that the VM was given");
}

/* A number in /sys, or false. */
static bool read_number(const char *path, uint64_t *n)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	return f && fscanf(f, "%" SCNu64, n) == 1;
}

/* Is there such a partition already? Return: 1, 0, or -1 with @err if it is another one. */
static int has_part(const char *disk, const char *name, const struct disk_part *p,
		    struct qbx_err *err)
{
	char path[2 * NAME_MAX + 32];
	uint64_t start, size;

	snprintf(path, sizeof(path), "/sys/block/%s/%s/start", disk, name);
	if (!read_number(path, &start))
		return 0;
	snprintf(path, sizeof(path), "/sys/block/%s/%s/size", disk, name);
	if (!read_number(path, &size))
		return err_sys(err, errno, "read %s", path);
	if (start == p->start && size == p->sectors)
		return 1;
	return err_code(err, EX_DATAERR, "part %u is %" PRIu64 " sectors from %" PRIu64 " already",
			p->number, size, start);
}

static int add_part(const char *disk, const struct disk_part *p, struct qbx_err *err)
{
	struct blkpg_partition part = { .start = (long long)p->start * 512,
					.length = (long long)p->sectors * 512,
					.pno = (int)p->number };
	struct blkpg_ioctl_arg arg = { .op = BLKPG_ADD_PARTITION,
				       .datalen = sizeof(part),
				       .data = &part };
	char path[DISK_PATH_MAX];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/dev/%s", disk);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	if (ioctl(fd, BLKPG, &arg) == 0)
		return 0;
	err_sys(err, errno, "part %u, %" PRIu64 " sectors from %" PRIu64, p->number, p->sectors,
		p->start);
	err->sys = 0;
	return -1;
}

int disk_find(const char *name, char path[DISK_PATH_MAX], struct qbx_err *err)
{
	char disk[NAME_MAX + 1], part[NAME_MAX + 16];
	struct disk_name n;
	int r;

	if (disk_name_parse(name, &n, err) < 0 || find(n.serial, disk, err) < 0)
		return -1;
	snprintf(path, DISK_PATH_MAX, "/dev/%s", disk);
	if (!n.part.number)
		return 0;
	/* Names that end in a digit have a letter between: that is how the kernel makes them. */
	snprintf(part, sizeof(part), "%s%s%u", disk,
		 strchr("0123456789", disk[strlen(disk) - 1]) ? "p" : "", n.part.number);
	r = has_part(disk, part, &n.part, err);
	if (r == 0)
		r = add_part(disk, &n.part, err);
	snprintf(path, DISK_PATH_MAX, "/dev/%s", part);
	return r < 0 ? err_wrap(err, "disk \"%s\"", n.serial) : 0;
}
