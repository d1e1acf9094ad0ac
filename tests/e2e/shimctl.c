/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shimctl.c - calls to a shim that ctr has no command for, for tests
 *
 *   shimctl update SOCKET ID < resources.json
 *
 * A call that fails prints "code N: message"; status 99.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest.h"
#include "io.h"
#include "json.h"
#include "task.h"
#include "ttrpc.h"

#define FAILED 99

static struct loop *loop;
static int status = FAILED;

static void on_answer(void *arg, enum ttrpc_code code, const ProtobufCMessage *reply,
		      const char *message)
{
	(void)arg;
	(void)reply;
	if (code == TTRPC_OK)
		status = 0;
	else
		fprintf(stderr, "shimctl: code %d: %s\n", (int)code, message);
	loop_stop(loop);
}

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)arg;
	(void)conn;
	exit(status); /* the call that waited has failed, and said so */
}

static int dial(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	struct qbx_err err = { 0 };
	_cleanup_free_ char *text = NULL;
	struct ttrpc_conn *conn;
	size_t len;
	int fd;

	if (argc != 4 || strcmp(argv[1], "update"))
		return EX_USAGE;
	fd = dial(argv[2]);
	loop = loop_new(&err);
	conn = fd >= 0 && loop ? ttrpc_new(loop, fd, NULL, NULL, on_closed, NULL, &err) : NULL;
	if (!conn || io_read_all(STDIN_FILENO, JSON_FILE_MAX, "stdin", &text, &len, &err) < 0) {
		fprintf(stderr, "shimctl: %s: %s\n", argv[2], err.msg);
		return FAILED;
	}
	task_update(conn, argv[3], text, len, on_answer, NULL);
	if (loop_run(loop, &err) < 0)
		return FAILED;
	ttrpc_free(conn);
	loop_free(loop);
	return status;
}
