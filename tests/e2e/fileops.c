/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fileops.c - what no shell does to a file, for tests
 *
 *   fileops put FILE TEXT   write TEXT over the beginning of FILE through a shared mapping
 *   fileops get FILE LEN    print as many bytes of FILE from a mapping of its own
 *   fileops lock FILE KIND  take the lock of FILE (flock, or posix as fcntl has it) and say whether
 *                           another process is kept out: "kept out" or "let in"
 *
 * Linked statically: it is run in boxes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int map(const char *path, const char *text, size_t len)
{
	int fd = open(path, text ? O_RDWR : O_RDONLY);
	char *p = mmap(NULL, len, text ? PROT_READ | PROT_WRITE : PROT_READ,
		       text ? MAP_SHARED : MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		return fail(path);
	if (!text)
		return fwrite(p, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : fail("write");
	memcpy(p, text, len);
	return msync(p, len, MS_SYNC) == 0 ? 0 : fail("msync");
}

static int take(const char *path, int posix)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	return posix ? fcntl(fd, F_SETLK, &whole) : flock(fd, LOCK_EX | LOCK_NB);
}

static int lock(const char *path, int posix)
{
	int status;
	pid_t pid;

	if (take(path, posix) < 0)
		return fail(path);
	pid = fork();
	if (pid == 0)
		_exit(take(path, posix) < 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return fail("fork");
	puts(status ? "kept out" : "let in");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "put"))
		return map(argv[2], argv[3], strlen(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "get"))
		return map(argv[2], NULL, strtoul(argv[3], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "lock"))
		return lock(argv[2], !strcmp(argv[3], "posix"));
	fputs("fileops: put, get or lock, a file and an argument\n", stderr);
	return 2;
}
