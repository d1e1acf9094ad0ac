/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h - the last words of a process or a guest, for an error message */
#ifndef QBX_TAIL_H
#define QBX_TAIL_H

#include <stddef.h>

/** tail_line() - the last line with text in a file, cleaned; "" when there is none. */
void tail_line(int dirfd, const char *name, char *buf, size_t size);

/** tail_panic() - why a guest's kernel gave up, from its console's log; else its last line. */
void tail_panic(int dirfd, const char *name, char *buf, size_t size);

#endif
