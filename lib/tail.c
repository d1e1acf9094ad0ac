/* SPDX-License-Identifier: Apache-2.0 */
/* tail.c - the last words of a process or a guest, for an error message */
#include "tail.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"

#define TAIL_BYTES 8192

/* The end of a file, NUL-terminated; "" when it cannot be read. */
static void read_tail(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;
	off_t from;

	buf[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	from = st.st_size > (off_t)size - 1 ? st.st_size - (off_t)size + 1 : 0;
	n = pread(fd, buf, size - 1, from);
	buf[n < 0 ? 0 : n] = '\0';
	for (char *p = buf; p < buf + n; p++)
		if (!*p)
			*p = ' '; /* a NUL would hide what follows it */
}

/* Copy the line that starts at @line, without what people need not see. */
static void copy_line(const char *line, char *buf, size_t size)
{
	size_t len = strcspn(line, "\r\n");

	snprintf(buf, size, "%.*s", (int)(len < size ? len : size - 1), line);
	err_clean(buf);
}

void tail_line(int dirfd, const char *name, char *buf, size_t size)
{
	char text[TAIL_BYTES], *line;

	read_tail(dirfd, name, text, sizeof(text));
	buf[0] = '\0';
	for (size_t len = strlen(text); len > 0;) {
		while (len > 0 && strchr("\r\n \t", text[len - 1]))
			text[--len] = '\0';
		line = strrchr(text, '\n');
		copy_line(line ? line + 1 : text, buf, size);
		if (buf[0] || !line)
			break;
		len = (size_t)(line - text);
		text[len] = '\0';
	}
}

void tail_panic(int dirfd, const char *name, char *buf, size_t size)
{
	char text[TAIL_BYTES], *p;

	read_tail(dirfd, name, text, sizeof(text));
	p = strstr(text, "Kernel panic");
	if (p)
		copy_line(p, buf, size);
	else
		tail_line(dirfd, name, buf, size);
}
