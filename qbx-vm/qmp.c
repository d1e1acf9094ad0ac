/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmp.c - one question to QEMU's monitor
 *
 * Source of the format: QEMU's "QEMU Machine Protocol Specification". Each message is a JSON object
 * on a line; a greeting comes first, then qmp_capabilities must be said; events may come between.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "json.h"
#include "vm.h"

#define LINE_MAX_BYTES 65536u /* of a reply; a compromised QEMU may send anything */
#define MESSAGES_MAX 64	      /* events before the reply */

int qmp_decode(const char *line, size_t len, enum qmp_kind *kind, json_t **body,
	       struct qbx_err *err)
{
	json_auto_t *j = NULL;
	const char *desc;
	json_t *e;

	*body = NULL;
	*kind = QMP_EVENT;
	if (len > LINE_MAX_BYTES)
		return err_code(err, EX_DATAERR, "QEMU's monitor: a line of %zu bytes", len);
	j = json_parse(line, len, "QEMU's monitor", err);
	if (!j)
		return -1;
	if (json_object_get(j, "QMP")) {
		*kind = QMP_GREETING;
	} else if (json_object_get(j, "event")) {
		*kind = QMP_EVENT;
	} else if ((e = json_object_get(j, "error"))) {
		*kind = QMP_ERROR;
		desc = json_string_value(json_object_get(e, "desc"));
		return err_code(err, EX_DATAERR, "QEMU: %.300s",
				desc ? desc : "an error without text");
	} else if ((e = json_object_get(j, "return"))) {
		*kind = QMP_RETURN;
		*body = json_incref(e);
	} else {
		return err_code(err, EX_DATAERR, "QEMU's monitor: a message of no known kind");
	}
	return 0;
}

struct qmp {
	int fd;
	unsigned long long end; /* io_now_us() when it must be over */
	size_t len;
	char buf[LINE_MAX_BYTES + 1];
};

/* Wait until the monitor can be read or written. */
static int await(const struct qmp *q, short events, struct qbx_err *err)
{
	struct pollfd p = { .fd = q->fd, .events = events };
	unsigned long long now = io_now_us();
	int n = q->end > now ? poll(&p, 1, (int)((q->end - now + 999) / 1000)) : 0;

	if (n < 0 && errno != EINTR)
		return err_sys(err, errno, "wait for QEMU's monitor");
	return n == 0 ? err_sys(err, ETIMEDOUT, "QEMU's monitor") : 0;
}

/* The next line of it, as its kind and body. */
static int next(struct qmp *q, enum qmp_kind *kind, json_t **body, struct qbx_err *err)
{
	char *newline;
	ssize_t n;
	int ret;

	while (!(newline = memchr(q->buf, '\n', q->len))) {
		if (q->len == LINE_MAX_BYTES)
			return err_code(err, EX_DATAERR, "QEMU's monitor: a line without end");
		if (await(q, POLLIN, err) < 0)
			return -1;
		n = recv(q->fd, q->buf + q->len, LINE_MAX_BYTES - q->len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_sys(err, n < 0 ? errno : ECONNRESET, "QEMU's monitor");
		q->len += (size_t)n;
	}
	ret = qmp_decode(q->buf, (size_t)(newline - q->buf), kind, body, err);
	q->len -= (size_t)(newline + 1 - q->buf);
	memmove(q->buf, newline + 1, q->len);
	return ret;
}

/* Read until a message of that kind has come; what is not an event and not that is an error. */
static int expect(struct qmp *q, enum qmp_kind wanted, json_t **body, struct qbx_err *err)
{
	for (int i = 0; i < MESSAGES_MAX; i++) {
		enum qmp_kind kind = QMP_EVENT;

		*body = NULL;
		if (next(q, &kind, body, err) < 0)
			return -1;
		if (kind == wanted)
			return 0;
		json_decref(*body);
		if (kind != QMP_EVENT)
			break;
	}
	return err_code(err, EX_DATAERR, "QEMU's monitor: not the reply that was due");
}

static int say(struct qmp *q, const char *command, struct qbx_err *err)
{
	char line[80];
	int len = snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);

	if (await(q, POLLOUT, err) < 0)
		return -1;
	/* Short enough to fit into an empty socket buffer in one piece. */
	if (send(q->fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		return err_sys(err, errno, "write to QEMU's monitor");
	return 0;
}

static json_t *converse(struct qmp *q, const char *command, struct qbx_err *err)
{
	json_t *body;

	if (expect(q, QMP_GREETING, &body, err) < 0 || say(q, "qmp_capabilities", err) < 0 ||
	    expect(q, QMP_RETURN, &body, err) < 0)
		return NULL;
	json_decref(body);
	if (say(q, command, err) < 0 || expect(q, QMP_RETURN, &body, err) < 0)
		return NULL;
	return body;
}

json_t *qmp_execute(int dirfd, const char *command, unsigned timeout_ms, struct qbx_err *err)
{
	struct qmp q = { .fd = unix_connect(dirfd, VM_FILE_QMP) };
	json_t *body;

	if (q.fd < 0) {
		err_sys(err, errno, "connect to QEMU's monitor");
		return NULL;
	}
	q.end = io_now_us() + timeout_ms * 1000ull;
	body = converse(&q, command, err);
	close(q.fd);
	return body;
}
