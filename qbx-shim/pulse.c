/* SPDX-License-Identifier: Apache-2.0 */
/* pulse.c - do a VM's processors run now and then, and hardly, as those of an idle kernel do? */
#include "pulse.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "io.h"

#define VCPU_NAME "CPU "

/* A file of a thread's in one read, NUL-terminated. Return: false when it cannot be read. */
static bool read_of(int task, const char *tid, const char *file, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%.20s/%s", tid, file);
	fd = openat(task, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	buf[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* Add what one thread has run, if it is a processor. */
static void add_thread(struct pulse *p, int task, const char *tid)
{
	uint64_t ran, waited, turns;
	char text[96];

	if (!read_of(task, tid, "comm", text, sizeof(text)) ||
	    strncmp(text, VCPU_NAME, strlen(VCPU_NAME)) != 0 ||
	    !read_of(task, tid, "schedstat", text, sizeof(text)) ||
	    sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ran, &waited, &turns) != 3)
		return;
	p->ran_ns += ran;
	p->turns += turns;
}

static struct pulse look(pid_t qemu)
{
	struct pulse now = { .at = io_now_us() };
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)qemu);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_thread(&now, dirfd(dir), entry->d_name);
	return now;
}

bool pulse_idles(struct pulse *p, pid_t qemu)
{
	const struct pulse was = *p;
	uint64_t ran_us, took_us;

	*p = look(qemu);
	/* A processor that was unplugged takes its share along. */
	if (!was.at || p->turns <= was.turns || p->ran_ns < was.ran_ns)
		return false;
	ran_us = (p->ran_ns - was.ran_ns) / 1000;
	took_us = p->at - was.at;
	return ran_us * 100 < took_us * PULSE_BUSY_PERCENT;
}
