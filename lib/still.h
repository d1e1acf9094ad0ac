/* SPDX-License-Identifier: Apache-2.0 */
/*
 * still.h - what a box writes to stands still, and others may read it
 *
 * A file in the box's directory says so. It is made when the guest has frozen the file system, and
 * removed before the guest is told to go on, or to end: who has it open, and sees that it is still
 * there after the last read, knows that nothing was written before. A new one is another file.
 */
#ifndef QBX_STILL_H
#define QBX_STILL_H

#include <stdbool.h>

#include "err.h"

/** still_begin() - @dirfd: the box's directory, as below. Return: 0, or -1 with @err. */
int still_begin(int dirfd, struct qbx_err *err) _must_check_;

/** still_end() - absent is as good. Return: 0, or -1 with @err: then nothing may go on. */
int still_end(int dirfd, struct qbx_err *err) _must_check_;

/** still_open() - Return: descriptor for still_lasts(), the caller's; -1 with @err (ENOENT). */
int still_open(int dirfd, struct qbx_err *err) _must_check_;

/** still_lasts() - has it stood still since still_open()? */
bool still_lasts(int fd);

#endif
