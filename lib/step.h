/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.h - the moments at which something outside has just changed
 *
 * In the program that is installed these are nothing. Tests build another, with QBX_STEPS, which
 * writes them down in the file $QEMUBOX_STEPS, and which dies by SIGKILL at number
 * $QEMUBOX_DIE_AT, and stands still by SIGSTOP at number $QEMUBOX_STOP_AT: so they know of every
 * one, can see that what a killed program leaves is found again, and can do something meanwhile.
 */
#ifndef QBX_STEP_H
#define QBX_STEP_H

#ifdef QBX_STEPS
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/** step() - @what has been done, to @which. */
static inline void step(const char *what, const char *which)
{
	const char *path = getenv("QEMUBOX_STEPS"), *die = getenv("QEMUBOX_DIE_AT");
	const char *stop = getenv("QEMUBOX_STOP_AT");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	int n = 0;
	char c;

	if (fd < 0)
		return;
	dprintf(fd, "%s %s\n", what, which);
	for (off_t i = 0; pread(fd, &c, 1, i) == 1; i++)
		n += c == '\n';
	close(fd);
	if (die && atoi(die) == n)
		kill(getpid(), SIGKILL);
	if (stop && atoi(stop) == n)
		kill(getpid(), SIGSTOP);
}
#else
static inline void step(const char *what, const char *which)
{
	(void)what;
	(void)which;
}
#endif

#endif
