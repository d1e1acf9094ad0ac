/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphan.c - what a killed qbx-net's plugins have started
 *
 * A plugin dies with qbx-net, but not what it has started: an IPAM plugin that goes on would take an
 * address after all has been given back. So the lock file names the plugin that runs, which leads a
 * session of its own; whoever finds the file left behind ends what is left of that session. Its number
 * is no other's as long as anybody is in it, and what runs in it for this box says so in its
 * environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>

#include "io.h"
#include "lease.h"
#include "log.h"

#define ROUNDS_MAX 50 /* while one is ended another may be started */
#define END_MS 5000   /* for the kernel to end one */
#define ENVIRON_MAX (1u << 20)

int orphan_note(const struct lease_lock *lock, pid_t pid)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)pid);

	return pwrite(lock->fd, text, (size_t)n, 0) == n && ftruncate(lock->fd, n) == 0 ? 0 : -1;
}

/* Field 6 of /proc/PID/stat, after the name, which may hold anything. */
static bool in_session(int proc, const char *pid, long session)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err gone = { 0 };
	char path[64], *p;
	size_t len;

	snprintf(path, sizeof(path), "%.32s/stat", pid);
	if (io_read_file(proc, path, 4096, &text, &len, &gone) < 0)
		return false;
	p = strrchr(text, ')');
	for (int field = 3; p && field <= 6; field++)
		p = strchr(p + 1, ' ');
	return p && strtol(p + 1, NULL, 10) == session;
}

static bool works_for(int proc, const char *pid, const char *key)
{
	_cleanup_free_ char *text = NULL;
	struct qbx_err gone = { 0 };
	char path[64], want[sizeof("CNI_CONTAINERID=") + BOX_KEY_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%.32s/environ", pid);
	snprintf(want, sizeof(want), "CNI_CONTAINERID=%s", key);
	if (io_read_file(proc, path, ENVIRON_MAX, &text, &len, &gone) < 0)
		return false;
	for (const char *p = text; p < text + len; p += strlen(p) + 1)
		if (!strcmp(p, want))
			return true;
	return false;
}

static void end_one(int proc, const char *pid, long session)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	/* Asked again, as by now the number names what the descriptor does. */
	if (fd < 0 || !in_session(proc, pid, session))
		return;
	log_debug("ending process %s of a plugin that was killed", pid);
	if (pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0 && poll(&p, 1, END_MS) == 0)
		log_warn("process %s of a CNI plugin does not end", pid);
}

/* Return: how many there were. */
static int end_round(int proc, const char *key, long session)
{
	_cleanup_close_ int copy = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int n = 0;

	if (d)
		take_fd(&copy);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' ||
		    !in_session(proc, e->d_name, session) || !works_for(proc, e->d_name, key))
			continue;
		end_one(proc, e->d_name, session);
		n++;
	}
	return n;
}

void orphan_end(const struct lease_lock *lock, const char *key)
{
	_cleanup_close_ int proc = -1;
	char text[16] = "";
	long session;

	if (pread(lock->fd, text, sizeof(text) - 1, 0) <= 0)
		return;
	session = strtol(text, NULL, 10);
	proc = session > 1 ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	for (int i = 0; proc >= 0 && i < ROUNDS_MAX; i++)
		if (end_round(proc, key, session) == 0)
			break;
	if (ftruncate(lock->fd, 0) < 0)
		log_debug("%s: %s", lock->path, strerror(errno));
}
