/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - the pseudo-terminal of a process
 *
 * crun makes it, in the container's devpts, and sends its master over a Unix socket to whoever listens
 * on what --console-socket names. It has done so when it ends: nothing has to be waited for.
 */
#ifndef QBX_INIT_TERMINAL_H
#define QBX_INIT_TERMINAL_H

#include <stdint.h>

#include "err.h"

#define TERMINAL_SOCKET "console.sock"
#define TERMINAL_SIZE_MAX 65535u /* lines, or columns */

/** terminal_listen() - Return: a socket that listens as @dir/TERMINAL_SOCKET, or -1 with @err. */
int terminal_listen(const char *dir, struct qbx_err *err) _must_check_;

/**
 * terminal_take() - what a crun that has ended sent
 * @listener: of terminal_listen(); nobody can connect any more once it is closed, by the caller
 * Return: the master, non-blocking, the caller's; or -1 with @err when there is none, or more than one
 * descriptor, or something else.
 */
int terminal_take(int listener, struct qbx_err *err) _must_check_;

/** terminal_resize() - its foreground processes get SIGWINCH. */
int terminal_resize(int master, uint16_t width, uint16_t height, struct qbx_err *err) _must_check_;

#endif
