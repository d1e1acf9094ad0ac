/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - block devices by serial number, as the host names them */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

int disk_find(const char *serial, char path[DISK_PATH_MAX], struct qbx_err *err)
{
	_cleanup_closedir_ DIR *d = opendir("/sys/block");
	struct dirent *e;

	if (!d)
		return err_sys(err, errno, "list /sys/block");
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !has_serial(dirfd(d), e->d_name, serial))
			continue;
		snprintf(path, DISK_PATH_MAX, "/dev/%s", e->d_name);
		return 0;
	}
	err_code(err, EX_UNAVAILABLE, "no disk has the serial \"%.64s\"", serial);
	return err_hint(err, "the box document's fs.disks names the disks that the VM was given");
}
