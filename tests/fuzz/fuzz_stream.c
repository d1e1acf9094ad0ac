/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_stream.c - a peer that sends anything down a stdio stream */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "io.h"
#include "stream.h"

static void done(void *arg, enum stream_end end)
{
	(void)end;
	loop_stop(arg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qbx_err err = { 0 };
	struct loop *loop = loop_new(&err);
	int sv[2];

	if (size > 65536)
		return 0;
	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	if (!stream_recv(loop, sv[0], open("/dev/null", O_WRONLY | O_CLOEXEC), done, loop, &err))
		abort();
	if (io_write_all(sv[1], data, size) < 0)
		abort();
	close(sv[1]);
	if (loop_run(loop, &err) < 0)
		abort();
	loop_free(loop);
	return 0;
}
