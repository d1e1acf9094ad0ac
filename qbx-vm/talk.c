/* SPDX-License-Identifier: Apache-2.0 */
/* talk.c - several questions to QEMU's monitor, and events between them, each awaited */
#include "talk.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "json.h"
#include "sock.h"
#include "vm.h"

#define ANSWER_MS 5000u
#define COMMAND_MAX 1024u
#define LINES_MAX 1000u /* of one talk; whoever says more is not listened to */

/* Wait until there is something to read. */
static int await(const struct talk *t, unsigned long long end, struct qbx_err *err)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	unsigned long long now = io_now_us();
	int n = end > now ? poll(&p, 1, (int)((end - now + 999) / 1000)) : 0;

	if (n < 0 && errno != EINTR)
		return err_sys(err, errno, "wait for QEMU's monitor");
	return n == 0 ? err_sys(err, ETIMEDOUT, "QEMU's monitor") : 0;
}

static int receive(struct talk *t, unsigned long long end, struct qbx_err *err)
{
	ssize_t n;

	if (t->len == sizeof(t->buf))
		return err_code(err, EX_DATAERR, "QEMU's monitor: a line without end");
	if (await(t, end, err) < 0)
		return -1;
	n = recv(t->fd, t->buf + t->len, sizeof(t->buf) - t->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return err_sys(err, n < 0 ? errno : ECONNRESET, "QEMU's monitor");
	t->len += (size_t)n;
	return 0;
}

/* The next message. An event has been looked at. */
static json_t *next(struct talk *t, unsigned long long end, struct qbx_err *err)
{
	const char *event;
	char *newline;
	json_t *j;

	while (!(newline = memchr(t->buf, '\n', t->len)))
		if (receive(t, end, err) < 0)
			return NULL;
	if (++t->lines > LINES_MAX) {
		err_code(err, EX_DATAERR, "QEMU's monitor: a flood of messages");
		return NULL;
	}
	j = json_parse(t->buf, (size_t)(newline - t->buf), "QEMU's monitor", err);
	t->len -= (size_t)(newline + 1 - t->buf);
	memmove(t->buf, newline + 1, t->len);
	event = json_string_value(json_object_get(j, "event"));
	if (event && t->is && t->is(t->arg, event, json_object_get(j, "data")))
		t->seen = true;
	return j;
}

static int say(const struct talk *t, const char *command, const json_t *arguments,
	       struct qbx_err *err)
{
	_cleanup_free_ char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : strdup("{}");
	char line[COMMAND_MAX];
	int len = snprintf(line, sizeof(line), "{\"execute\":\"%s\",\"arguments\":%s}\n", command,
			   text ? text : "");

	if (!text || len >= (int)sizeof(line))
		return err_sys(err, text ? E2BIG : ENOMEM, "QEMU's monitor: %s", command);
	/* Short enough to fit into an empty socket buffer in one piece. */
	if (send(t->fd, line, (size_t)len, MSG_NOSIGNAL) != len)
		return err_sys(err, errno, "write to QEMU's monitor");
	return 0;
}

json_t *talk_ask(struct talk *t, const char *command, json_t *arguments, struct qbx_err *err)
{
	unsigned long long end = io_now_us() + ANSWER_MS * 1000ull;
	json_auto_t *args = arguments;

	if (say(t, command, args, err) < 0)
		return NULL;
	for (;;) {
		json_auto_t *j = next(t, end, err);
		json_t *ret = json_object_get(j, "return"), *error = json_object_get(j, "error");
		const char *desc = json_string_value(json_object_get(error, "desc"));

		if (!j)
			return NULL;
		if (ret)
			return json_incref(ret);
		if (!error)
			continue;
		err_code(err, EX_UNAVAILABLE, "QEMU: %s: %.300s", command,
			 desc ? desc : "an error without text");
		return NULL;
	}
}

void talk_expect(struct talk *t, talk_is_fn *is, void *arg)
{
	t->is = is;
	t->arg = arg;
	t->seen = false;
}

int talk_await(struct talk *t, unsigned timeout_ms, struct qbx_err *err)
{
	unsigned long long end = io_now_us() + timeout_ms * 1000ull;

	while (!t->seen) {
		json_t *j = next(t, end, err);

		if (!j)
			return -1;
		json_decref(j);
	}
	return 0;
}

int talk_begin(struct talk *t, int dirfd, struct qbx_err *err)
{
	json_t *reply;

	memset(t, 0, offsetof(struct talk, buf));
	t->fd = unix_connect(dirfd, VM_FILE_QMP);
	if (t->fd < 0)
		return err_sys(err, errno, "connect to QEMU's monitor");
	/* The greeting comes before the answer, and is neither answer nor event. */
	reply = talk_ask(t, "qmp_capabilities", NULL, err);
	json_decref(reply);
	return reply ? 0 : -1;
}

void talk_end(struct talk *t)
{
	if (t->fd >= 0)
		close(take_fd(&t->fd));
}
