/* SPDX-License-Identifier: Apache-2.0 */
/* starved.c - how long a process was kept from running by others */
#include "starved.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "io.h"

/* A small file of /proc in one read, NUL-terminated. Return: false when it cannot be read. */
static bool read_proc(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* The state in a stat file: 'R', 'D', 'S', 'T', …; '?' when it cannot be read. */
static char state_of(const char *path)
{
	char text[512];
	const char *end = read_proc(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;

	return end && end[1] == ' ' ? end[2] : '?'; /* the name before it may hold anything */
}

static bool look_at(pid_t pid, struct starved_thread *t)
{
	char path[64], text[96];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)t->tid);
	return read_proc(path, text, sizeof(text)) &&
	       sscanf(text, "%" SCNu64 " %" SCNu64, &t->ran_ns, &t->waited_ns) == 2;
}

/* How long a thread waited of the last @took_us; one that was not there at the last look: 0. */
static uint64_t waited_us(const struct starved *s, const struct starved_thread *now,
			  uint64_t took_us)
{
	const struct starved_thread *was = s->threads;
	uint64_t ran, waited;
	char path[64];

	while (was < s->threads + s->n && was->tid != now->tid)
		was++;
	if (was == s->threads + s->n)
		return 0;
	ran = (now->ran_ns - was->ran_ns) / 1000;
	waited = (now->waited_ns - was->waited_ns) / 1000;
	if (s->pid == getpid())
		return waited; /* we run, and have all of it */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)s->pid, (int)now->tid);
	if (ran < took_us && took_us - ran > waited && strchr("RD", state_of(path)))
		waited = took_us - ran;
	return waited;
}

uint64_t starved_us(struct starved *s)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct starved now = { .pid = s->pid, .at = io_now_us() };
	const struct dirent *entry;
	uint64_t worst = 0, waited;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)s->pid);
	dir = opendir(path);
	while (dir && now.n < STARVED_THREADS_MAX && (entry = readdir(dir))) {
		struct starved_thread *t = &now.threads[now.n];

		t->tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (t->tid <= 0 || !look_at(s->pid, t))
			continue;
		now.n++;
		waited = waited_us(s, t, now.at - s->at);
		if (waited > worst)
			worst = waited;
	}
	*s = now;
	return worst;
}

void starved_begin(struct starved *s, pid_t pid)
{
	s->pid = pid;
	s->at = io_now_us();
	s->n = 0;
	(void)starved_us(s);
}

bool starved_stopped(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return strchr("Tt", state_of(path)) != NULL;
}
