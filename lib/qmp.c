/* SPDX-License-Identifier: Apache-2.0 */
/* qmp.c - QEMU's monitor, from the loop */
#include "qmp.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "io.h"
#include "json.h"
#include "sock.h"

#define COMMAND_MAX 1024u
#define DRAIN_MAX 16u /* reads */

struct pending {
	struct pending *next;
	struct watch *timer;
	const char *command;
	qmp_done_fn *done; /* NULL: its time was up, the reply is for nobody */
	void *arg;
};

struct qmp {
	struct loop *loop;
	int fd;
	struct watch *watch;
	qmp_event_fn *event;
	qmp_closed_fn *closed;
	void *arg;
	struct pending *first; /* in the order of the replies */
	unsigned npending;
	bool busy, freed;	   /* in a callback; and it called qmp_free() */
	unsigned long long second; /* when the present one began, io_now_us() */
	unsigned lines;		   /* in it */
	size_t len;
	char buf[QMP_LINE_MAX + 1];
};

int qmp_decode(const char *line, size_t len, enum qmp_kind *kind, json_t **body,
	       struct qbx_err *err)
{
	json_auto_t *j = NULL;
	json_t *e;

	*body = NULL;
	*kind = QMP_EVENT;
	if (len > QMP_LINE_MAX)
		return err_code(err, EX_DATAERR, "QEMU's monitor: a line of %zu bytes", len);
	j = json_parse(line, len, "QEMU's monitor", err);
	if (!j)
		return -1;
	if (json_object_get(j, "QMP")) {
		*kind = QMP_GREETING;
	} else if (json_is_string(json_object_get(j, "event"))) {
		*body = json_incref(j);
	} else if ((e = json_object_get(j, "error"))) {
		*kind = QMP_ERROR;
		*body = json_incref(e);
	} else if ((e = json_object_get(j, "return"))) {
		*kind = QMP_RETURN;
		*body = json_incref(e);
	} else {
		return err_code(err, EX_DATAERR, "QEMU's monitor: a message of no known kind");
	}
	return 0;
}

/* ---- the end ---- */

static struct pending *unlink_first(struct qmp *q)
{
	struct pending *p = q->first;

	q->first = p->next;
	q->npending--;
	loop_remove(p->timer);
	return p;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	while (q->first)
		free(unlink_first(q));
	loop_remove(q->watch);
	q->watch = NULL;
	if (q->fd >= 0)
		close(take_fd(&q->fd));
	q->freed = true;
	if (!q->busy)
		free(q);
}

/* Called with q->busy set, so that @q outlives what the owner does. */
static void end(struct qmp *q, const struct qbx_err *why)
{
	loop_remove(q->watch);
	q->watch = NULL;
	while (q->first) {
		struct pending *p = unlink_first(q);

		if (p->done)
			p->done(p->arg, NULL, why);
		free(p);
	}
	if (!q->freed)
		q->closed(q->arg, why);
	if (!q->freed)
		qmp_free(q);
}

/* ---- what comes ---- */

/* The reply to the first command that waits. Return: 0, or -1 with @err: there is none. */
static int answer(struct qmp *q, enum qmp_kind kind, json_t *body, struct qbx_err *err)
{
	const char *desc = json_string_value(json_object_get(body, "desc"));
	struct qbx_err refused = { 0 };
	struct pending *p;

	if (!q->first)
		return err_code(err, EX_DATAERR, "QEMU's monitor: a reply to no command%s%.300s",
				desc ? ": " : "", desc ? desc : "");
	p = unlink_first(q);
	if (kind == QMP_ERROR)
		err_code(&refused, EX_UNAVAILABLE, "QEMU: %s: %.300s", p->command,
			 desc ? desc : "an error without text");
	if (p->done)
		p->done(p->arg, refused.code ? NULL : body, refused.code ? &refused : NULL);
	free(p);
	return 0;
}

/* One line. Return: 0, or -1 with @err: whoever speaks there is not to be listened to. */
static int take_line(struct qmp *q, const char *line, size_t len, struct qbx_err *err)
{
	unsigned long long now = io_now_us();
	enum qmp_kind kind;
	json_auto_t *body = NULL;

	if (now - q->second >= 1000000) {
		q->second = now;
		q->lines = 0;
	}
	if (++q->lines > QMP_RATE_MAX)
		return err_code(err, EX_DATAERR, "QEMU's monitor: a flood of messages");
	if (qmp_decode(line, len, &kind, &body, err) < 0)
		return -1;
	if (kind == QMP_RETURN || kind == QMP_ERROR)
		return answer(q, kind, body, err);
	if (kind == QMP_EVENT && q->event)
		q->event(q->arg, json_string_value(json_object_get(body, "event")), body);
	return 0;
}

static int take_lines(struct qmp *q, struct qbx_err *err)
{
	size_t from = 0;
	char *newline;

	while (!q->freed && (newline = memchr(q->buf + from, '\n', q->len - from))) {
		size_t len = (size_t)(newline - q->buf) - from;

		if (take_line(q, q->buf + from, len, err) < 0)
			return -1;
		from += len + 1;
	}
	q->len -= from;
	memmove(q->buf, q->buf + from, q->len);
	return q->len == QMP_LINE_MAX
		       ? err_code(err, EX_DATAERR, "QEMU's monitor: a line without end")
		       : 0;
}

/* Read once and handle it. Return: false when there is no more, or all is over. */
static bool receive(struct qmp *q)
{
	struct qbx_err err = { 0 };
	ssize_t n = recv(q->fd, q->buf + q->len, QMP_LINE_MAX - q->len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	q->busy = true;
	if (n > 0)
		q->len += (size_t)n;
	else
		err_sys(&err, n < 0 ? errno : ECONNRESET, "QEMU's monitor");
	if ((n <= 0 || take_lines(q, &err) < 0) && !q->freed)
		end(q, &err);
	q->busy = false;
	if (!q->freed)
		return true;
	free(q);
	return false;
}

static void on_readable(void *arg, uint32_t events)
{
	(void)events;
	receive(arg);
}

void qmp_drain(struct qmp *q)
{
	for (unsigned i = 0; i < DRAIN_MAX && receive(q); i++)
		;
}

/* ---- what goes ---- */

static void on_late(void *arg)
{
	struct pending *p = arg;
	qmp_done_fn *done = p->done;
	struct qbx_err err = { 0 };

	p->timer = NULL;
	p->done = NULL;
	err_sys(&err, ETIMEDOUT, "QEMU's monitor");
	done(p->arg, NULL, &err);
}

static void append(struct qmp *q, struct pending *p)
{
	struct pending **at = &q->first;

	while (*at)
		at = &(*at)->next;
	*at = p;
	q->npending++;
}

/* Return: how long the line is, or -1 with @err. */
static int compose(char line[COMMAND_MAX], const char *command, const json_t *arguments,
		   struct qbx_err *err)
{
	_cleanup_free_ char *text = json_dumps(arguments, JSON_COMPACT);
	int len;

	if (arguments && !text)
		return err_sys(err, ENOMEM, "QEMU's monitor: %s", command);
	len = snprintf(line, COMMAND_MAX, "{\"execute\":\"%s\"%s%s}\n", command,
		       text ? ",\"arguments\":" : "", text ? text : "");
	if (len >= (int)COMMAND_MAX)
		return err_sys(err, E2BIG, "QEMU's monitor: %s", command);
	return len;
}

int qmp_request(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
		qmp_done_fn *done, void *arg, struct qbx_err *err)
{
	json_auto_t *args = arguments;
	char line[COMMAND_MAX];
	int len = compose(line, command, args, err);
	struct pending *p;

	if (len < 0)
		return -1;
	if (q->npending >= QMP_PENDING_MAX)
		return err_code(err, EX_TEMPFAIL, "QEMU's monitor does not answer");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_sys(err, ENOMEM, "QEMU's monitor: %s", command);
	*p = (struct pending){ .command = command, .done = done, .arg = arg };
	if (timeout_ms)
		p->timer = loop_add_timer(q->loop, timeout_ms, on_late, p, err);
	if (timeout_ms && !p->timer) {
		free(p);
		return -1;
	}
	/* So few of them, and so short, always fit into the socket's buffer in one piece. */
	if (send(q->fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len) {
		err_sys(err, errno, "write to QEMU's monitor");
		loop_remove(p->timer);
		free(p);
		return -1;
	}
	append(q, p);
	return 0;
}

static void on_negotiated(void *arg, json_t *ret, const struct qbx_err *err)
{
	(void)arg;
	(void)ret;
	(void)err; /* if QEMU refuses this, it refuses the next command, and says so there */
}

struct qmp *qmp_new(struct loop *loop, int fd, qmp_event_fn *event, qmp_closed_fn *closed,
		    void *arg, struct qbx_err *err)
{
	struct qmp *q = malloc(sizeof(*q)); /* not all of it is ever touched */

	if (!q) {
		close(fd);
		err_sys(err, ENOMEM, "QEMU's monitor");
		return NULL;
	}
	memset(q, 0, offsetof(struct qmp, buf));
	q->loop = loop;
	q->fd = fd;
	q->event = event;
	q->closed = closed;
	q->arg = arg;
	/* It may be said before the greeting has come: QEMU reads it after that. */
	if (qmp_request(q, "qmp_capabilities", NULL, 0, on_negotiated, NULL, err) == 0)
		q->watch = loop_add_fd(loop, fd, EPOLLIN, on_readable, q, err);
	if (q->watch)
		return q;
	qmp_free(q);
	return NULL;
}

int qmp_connect(int dirfd, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || unix_reach(fd, dirfd, name) < 0)
		return -1;
	return take_fd(&fd);
}
