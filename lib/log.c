/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - diagnostics for people */
#include "log.h"

#include <stdarg.h>
#include <string.h>

#include "err.h"

static struct {
	const char *program;
	enum log_level max;
	int fd;
} sink = { "qbx", LOG_LEVEL_WARN, STDERR_FILENO };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_open(const char *program, enum log_level max, int fd)
{
	sink.program = program;
	sink.max = max;
	sink.fd = fd;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[1024], line[1200];
	va_list ap;
	int n;

	if (level > sink.max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = snprintf(line, sizeof(line), "%s: %s: %s\n", sink.program, level_names[level],
		     err_clean(text));
	if (write(sink.fd, line, (size_t)n) < 0)
		return; /* nowhere left to say so */
}
