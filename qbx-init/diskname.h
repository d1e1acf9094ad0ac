/* SPDX-License-Identifier: Apache-2.0 */
/* diskname.h - what the host calls a disk, or a part of one: qemubox(7), "rootfs" of Create */
#ifndef QBX_INIT_DISKNAME_H
#define QBX_INIT_DISKNAME_H

#include <stdint.h>

#include "err.h"

#define DISK_SERIAL_MAX 64u
#define DISK_PARTS_MAX 255u /* of one disk: the kernel's limit, DISK_MAX_PARTS, less the whole */

struct disk_part {
	unsigned number;	 /* 1 to DISK_PARTS_MAX; 0: the whole disk */
	uint64_t start, sectors; /* of 512 bytes; their sum has 54 bits at most */
};

struct disk_name {
	char serial[DISK_SERIAL_MAX + 1];
	struct disk_part part;
};

/** disk_name_parse() - SERIAL, or SERIAL/NUMBER@START+SECTORS. Return: 0, or -1 with @err. */
int disk_name_parse(const char *text, struct disk_name *n, struct qbx_err *err) _must_check_;

#endif
