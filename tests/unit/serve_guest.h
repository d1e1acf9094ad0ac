/* SPDX-License-Identifier: Apache-2.0 */
/* serve_guest.h - for test_shim_serve.c: the other commands as scripts, and a guest that the test is itself */
#ifndef SERVE_GUEST_H
#define SERVE_GUEST_H

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "guest.h"
#include "io.h"
#include "task.pb-c.h"
#include "ttrpc.h"

#define V2 "containerd.task.v2.Task"
#define V3 "containerd.task.v3.Task"

static char dir[64], bundle[96], address[128];
static struct loop *loop;
static struct qbx_err err;
static struct ttrpc_conn *client;

/* ---- files and scripts ---- */

static char *path_of(const char *name)
{
	static char paths[8][160];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *name, mode_t mode, const char *text)
{
	assert_int_equal(io_write_file(AT_FDCWD, path_of(name), mode, text, strlen(text), &err), 0);
}

static char *get(const char *name)
{
	static char text[4096];
	_cleanup_free_ char *read = NULL;
	size_t len;

	text[0] = '\0';
	if (io_read_file(AT_FDCWD, path_of(name), sizeof(text) - 1, &read, &len, &err) == 0)
		memcpy(text, read, len + 1);
	return text;
}

/* Each notes its verb, fails if it is told to, and else adds its key. */
static const char prologue[] =
	"#!/bin/sh\ncd \"${0%/*}/..\"\necho \"${0##*/} $2\" >> calls\n"
	"if [ -e \"fail-$2\" ]; then\n"
	"  echo '{\"error\":{\"stage\":\"'\"${0##*/}\"'\",\"code\":69,\"errno\":2,"
	"\"message\":\"'\"$2\"' broke\",\"hint\":\"mend it\"}}' >&2; exit 69; fi\n"
	"[ ! -e \"slow-$2\" ] || sleep 1\n";

static const char net_script[] = "[ \"$2\" = add ] || exec cat\nsed 's/}$/,\"net\":{}}/'\n";
static const char fs_script[] =
	"[ \"$2\" = prepare ] || exec cat\n"
	"sed 's/}$/,\"fs\":{\"disks\":[],\"mounts\":[{\"type\":\"tmpfs\",\"source\":\"tmpfs\","
	"\"target\":\"rootfs\",\"options\":[\"mode=0755\"]}]}}/'\n";
static const char vm_script[] =
	"box=run/default--demo\n"
	"case $2 in\n"
	"stop) [ ! -e vmpid ] || kill -9 $(cat vmpid); rm -rf vmpid $box; cat ;;\n"
	"start)\n"
	"  setsid sleep 1000 < /dev/null > /dev/null 2>&1 &\n"
	"  echo $! > vmpid\n"
	"  start=$(cut -d' ' -f22 /proc/$!/stat)\n"
	"  "
	"vm=\"{\\\"uid\\\":$(id "
	"-u),\\\"pid\\\":$!,\\\"start\\\":$start,\\\"vsock\\\":{\\\"transport\\\":\\\"vhost-"
	"user\\\"}}\"\n"
	"  head -c 32 /dev/zero | tr '\\0' t > $box/token\n"
	"  mkdir $box/vsock\n"
	"  ln guest.sock $box/vsock/vsock.sock\n"
	"  echo \"$vm\" > $box/vm.json\n"
	"  : > $box/console.log\n"
	"  sed \"s/}$/,\\\"vm\\\":$vm}/\" ;;\n"
	"esac\n";

static void put_script(const char *name, const char *body)
{
	char text[2048];

	snprintf(text, sizeof(text), "%s%s", prologue, body);
	put(name, 0755, text);
}

static void copy_shim(void)
{
	const char *from = getenv("QBX_BIN");
	char command[512];

	assert_non_null(from);
	snprintf(command, sizeof(command), "cp %s/containerd-shim-qemubox-v1 %s", from,
		 path_of("bin/"));
	assert_int_equal(system(command), 0);
}

/* ---- the guest ---- */

static struct {
	int listener;
	struct ttrpc_conn *control;
	struct ttrpc_call *waiting, *muted;
	struct watch *watch;
	int streams[4]; /* by number */
	bool mute;	/* take Kill, and do nothing */
	unsigned killed_by;
	char stdout_name[32];
	bool fail_create;
	bool told_hooks; /* it got some */
} guest;

static const Qemubox__Task__Empty empty = QEMUBOX__TASK__EMPTY__INIT;

static void guest_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Task__CreateRequest *r = (const Qemubox__Task__CreateRequest *)request;
	Qemubox__Task__CreateResponse m = QEMUBOX__TASK__CREATE_RESPONSE__INIT;

	(void)arg;
	assert_string_equal(r->id, "demo");
	assert_string_equal(r->options->type_url, GUEST_SPEC_TYPE);
	assert_non_null(memmem(r->options->value.data, r->options->value.len, "\"network\"", 9));
	guest.told_hooks =
		memmem(r->options->value.data, r->options->value.len, "\"hooks\":{\"", 10);
	assert_int_equal(r->n_rootfs, 1);
	assert_string_equal(r->rootfs[0]->options[0], "mode=0755");
	snprintf(guest.stdout_name, sizeof(guest.stdout_name), "%s", r->stdout);
	if (guest.fail_create)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no such command: \001/bin/nope");
	else
		ttrpc_reply(call, &m.base);
}

static void guest_start(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Task__StartResponse m = QEMUBOX__TASK__START_RESPONSE__INIT;

	(void)request;
	(void)arg;
	m.pid = 77; /* of the guest: containerd must not hear of it */
	ttrpc_reply(call, &m.base);
}

static void guest_exit(unsigned status)
{
	Qemubox__Task__WaitResponse m = QEMUBOX__TASK__WAIT_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(guest.waiting);

	m.exit_status = status;
	ttrpc_reply(call, &m.base);
}

static void guest_wait(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	(void)request;
	(void)arg;
	if (guest.waiting) /* of a container before this one */
		guest_exit(0);
	guest.waiting = call;
}

static void guest_kill(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	(void)arg;
	if (guest.mute) {
		guest.muted = call;
		return;
	}
	guest.killed_by = ((const Qemubox__Task__KillRequest *)request)->signal;
	ttrpc_reply(call, &empty.base);
	guest_exit(128 + guest.killed_by);
}

static const struct ttrpc_method guest_methods[] = {
	{ V3, "Create", &qemubox__task__create_request__descriptor, guest_create },
	{ V3, "Start", &qemubox__task__start_request__descriptor, guest_start },
	{ V3, "Wait", &qemubox__task__wait_request__descriptor, guest_wait },
	{ V3, "Kill", &qemubox__task__kill_request__descriptor, guest_kill },
	{ NULL, NULL, NULL, NULL },
};

static void guest_closed(void *arg, struct ttrpc_conn *conn)
{
	(void)arg;
	(void)conn;
	guest.control = NULL;
}

static void read_exactly(int fd, void *buf, size_t len)
{
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
}

/* What vhost-device-vsock does, then what qbx-init does. */
static void guest_accept(void *arg, uint32_t events)
{
	int fd = accept4(guest.listener, NULL, NULL, SOCK_CLOEXEC);
	char greeting[14], token[GUEST_TOKEN_LEN], want[GUEST_TOKEN_LEN];
	uint32_t number;

	(void)arg;
	(void)events;
	memset(want, 't', sizeof(want));
	read_exactly(fd, greeting, 13);
	greeting[13] = '\0';
	assert_int_equal(send(fd, "OK 9\n", 5, 0), 5);
	read_exactly(fd, token, sizeof(token));
	assert_memory_equal(token, want, sizeof(want));
	if (!strcmp(greeting, "CONNECT 1024\n")) {
		guest.control = ttrpc_new(loop, fd, guest_methods, NULL, guest_closed, NULL, &err);
		assert_non_null(guest.control);
		return;
	}
	assert_string_equal(greeting, "CONNECT 1025\n");
	read_exactly(fd, &number, 4);
	number = ntohl(number);
	assert_true(number >= 1 && number < ARRAY_SIZE(guest.streams));
	guest.streams[number] = fd;
	assert_int_equal(send(fd, "K", 1, 0), 1);
}

static void guest_says(int number, const char *text)
{
	uint32_t len = htonl((uint32_t)strlen(text));

	assert_int_equal(send(guest.streams[number], &len, 4, 0), 4);
	if (*text)
		assert_int_equal(send(guest.streams[number], text, strlen(text), 0), strlen(text));
}

#endif
