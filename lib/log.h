/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - diagnostics for people: one line each, to stderr or where log_open() says */
#ifndef QBX_LOG_H
#define QBX_LOG_H

#include "cleanup.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_open() - name the program and set what is shown; lines go to descriptor @fd (not owned). */
void log_open(const char *program, enum log_level max, int fd);

/** log_write() - one line; control characters from elsewhere are cleaned; a full sink drops it. */
void log_write(enum log_level level, const char *fmt, ...) _printf_(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
