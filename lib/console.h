/* SPDX-License-Identifier: Apache-2.0 */
/* console.h - the log of a guest's console: kept below a size, and read for its last words */
#ifndef QBX_CONSOLE_H
#define QBX_CONSOLE_H

#include <stddef.h>

#include "loop.h"

#define CONSOLE_LOG "console.log"
#define CONSOLE_OLD "console.log.1"

struct console;

/**
 * console_keep() - keep a log below a size from now on
 * QEMU appends to it. When it has grown beyond @max its last @max bytes become CONSOLE_OLD, and it is
 * emptied. Both together never hold more than twice @max and what arrives in CONSOLE_REST_MS: a guest
 * that floods its console costs one look at the size in that time, whatever it writes.
 * @dirfd: the box's directory, borrowed
 * @max: bytes
 * Return: for console_free(), or NULL with @err.
 */
struct console *console_keep(struct loop *loop, int dirfd, size_t max,
			     struct qbx_err *err) _must_check_;

void console_free(struct console *c); /* NULL is allowed */

#define CONSOLE_REST_MS 100u

/**
 * console_tail() - the last bytes of both files together, NUL-terminated; "" when there are none
 * As the guest wrote them, but for NULs, which become blanks: for err_clean() before they are shown.
 */
void console_tail(int dirfd, char *buf, size_t size);

#endif
