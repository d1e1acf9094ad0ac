/* SPDX-License-Identifier: Apache-2.0 */
/* Single files that are sent to a guest: what it is told, and when */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"
#include "guest.pb-c.h"
#include "io.h"
#include "volumes.h"

#define PATIENCE_MS 10000u

/* A guest on one end of a socket pair, which notes what it is sent. */
struct fixture {
	struct loop *loop;
	struct ttrpc_conn *guest, *host;
	struct files *files;
	char dir[32];
	json_t *volumes;
	unsigned writes, wanted; /* so many have come; the loop stops at */
	bool refuse;
	char content[64]; /* of the last one */
	uint32_t number, mode;
	bool done, timed_out;
	enum ttrpc_code code;
	char message[300];
};

static void on_write(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	const Qemubox__Guest__V1__WriteFileRequest *r = (const void *)request;
	Qemubox__Guest__V1__WriteFileResponse reply = QEMUBOX__GUEST__V1__WRITE_FILE_RESPONSE__INIT;
	struct fixture *f = arg;

	assert_string_equal(r->id, "box");
	snprintf(f->content, sizeof(f->content), "%.*s", (int)r->content.len,
		 (const char *)r->content.data);
	f->number = r->number;
	f->mode = r->mode;
	if (f->refuse)
		ttrpc_fail(call, TTRPC_INVALID_ARGUMENT, "no room");
	else
		ttrpc_reply(call, &reply.base);
	if (++f->writes == f->wanted)
		loop_stop(f->loop);
}

static const struct ttrpc_method methods[] = {
	{ GUEST_SERVICE, "WriteFile", &qemubox__guest__v1__write_file_request__descriptor,
	  on_write },
	{ NULL, NULL, NULL, NULL },
};

static void on_closed(void *arg, struct ttrpc_conn *conn)
{
	struct fixture *f = arg;

	if (conn == f->host) {
		f->host = NULL;
		files_free(take_ptr(f->files));
	} else {
		f->guest = NULL;
	}
}

static void on_done(void *arg, enum ttrpc_code code, const char *message)
{
	struct fixture *f = arg;

	f->done = true;
	f->code = code;
	snprintf(f->message, sizeof(f->message), "%s", message);
	loop_stop(f->loop);
}

static void on_patience(void *arg)
{
	struct fixture *f = arg;

	f->timed_out = true;
	loop_stop(f->loop);
}

static void run(struct fixture *f)
{
	struct qbx_err err = { 0 };
	struct watch *w = loop_add_timer(f->loop, PATIENCE_MS, on_patience, f, &err);

	assert_int_equal(loop_run(f->loop, &err), 0);
	assert_false(f->timed_out);
	loop_remove(w);
}

/* Until the guest has been told once more. */
static void told(struct fixture *f, const char *content)
{
	f->wanted = f->writes + 1;
	run(f);
	assert_string_equal(f->content, content);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	struct qbx_err err = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(io_write_file(AT_FDCWD, path, 0640, text, strlen(text), &err), 0);
}

static void add(struct fixture *f, const char *name)
{
	struct volume v = { .kind = VOLUME_FILE, .destination = "/x", .readonly = true };
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	v.source = path;
	if (stat(path, &st) == 0) {
		v.dev = st.st_dev;
		v.ino = st.st_ino;
	}
	json_array_append_new(f->volumes, volume_to_json(&v));
}

static int begin(struct fixture *f, struct qbx_err *err)
{
	memset(err, 0, sizeof(*err));
	f->files = files_new(f->loop, f->volumes, "box", err);
	return f->files ? files_send(f->files, f->host, on_done, f, err) : -1;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct qbx_err err = { 0 };
	int sv[2];

	*state = f;
	snprintf(f->dir, sizeof(f->dir), "/tmp/files.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->volumes = json_array();
	f->loop = loop_new(&err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	f->guest = ttrpc_new(f->loop, sv[0], methods, f, on_closed, f, &err);
	f->host = ttrpc_new(f->loop, sv[1], NULL, NULL, on_closed, f, &err);
	return f->guest && f->host ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err = { 0 };

	ttrpc_free(f->host);
	files_free(f->files);
	ttrpc_free(f->guest);
	loop_free(f->loop);
	json_decref(f->volumes);
	assert_int_equal(io_remove_tree(AT_FDCWD, f->dir, &err), 0);
	free(f);
	return 0;
}

static void without_files_there_is_nothing_to_wait_for(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;

	assert_int_equal(begin(f, &err), 0);
	assert_true(f->done);
	assert_int_equal(f->code, TTRPC_OK);
}

static void all_are_sent_and_then_what_changes(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;
	char path[64];
	int fd;

	put(f, "a", "one");
	put(f, "b", "two");
	add(f, "a");
	add(f, "b");
	assert_int_equal(begin(f, &err), 0);
	assert_false(f->done);
	run(f);
	assert_int_equal(f->code, TTRPC_OK);
	assert_int_equal(f->writes, 2);
	assert_string_equal(f->content, "two");
	assert_int_equal(f->number, 1);
	assert_int_equal(f->mode, 0640);
	put(f, "b", "three"); /* by a rename */
	told(f, "three");
	put(f, "a", "one"); /* another file, the same in it: nothing to tell */
	snprintf(path, sizeof(path), "%s/b", f->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "THREE", 5), 5);
	close(fd);
	told(f, "THREE");
	assert_int_equal(f->writes, 4);
	assert_int_equal(chmod(path, 0600), 0);
	told(f, "THREE");
	assert_int_equal(f->mode, 0600);
}

static void a_directory_of_symlinks_is_swapped(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;
	char path[64], other[64];

	for (int i = 1; i <= 2; i++) {
		snprintf(path, sizeof(path), "%s/%d", f->dir, i);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put(f, "1/key", "old");
	put(f, "2/key", "new");
	snprintf(path, sizeof(path), "%s/..data", f->dir);
	snprintf(other, sizeof(other), "%s/key", f->dir);
	assert_int_equal(symlink("1", path) + symlink("..data/key", other), 0);
	add(f, "key");
	assert_int_equal(begin(f, &err), 0);
	run(f);
	assert_string_equal(f->content, "old");
	snprintf(other, sizeof(other), "%s/tmp", f->dir);
	assert_int_equal(symlink("2", other) + rename(other, path), 0);
	told(f, "new");
}

static void what_leads_out_later_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;
	char path[64];

	put(f, "a", "one");
	put(f, "b", "two");
	add(f, "a");
	add(f, "b");
	assert_int_equal(begin(f, &err), 0);
	run(f);
	snprintf(path, sizeof(path), "%s/a", f->dir);
	assert_int_equal(unlink(path) + symlink("/etc/passwd", path), 0);
	put(f, "b", "still");
	told(f, "still");
	assert_int_equal(f->number, 1);
	assert_int_equal(f->writes, 3);
}

static void a_symlink_from_the_start_is_what_was_seen(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;
	char path[64];

	snprintf(path, sizeof(path), "%s/a", f->dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	add(f, "a");
	assert_int_equal(begin(f, &err), 0);
	run(f);
	assert_int_equal(f->code, TTRPC_OK);
	assert_int_equal(strncmp(f->content, "root:", 5), 0);
	files_free(take_ptr(f->files));
	json_object_set_new(json_array_get(f->volumes, 0), "ino", json_integer(1));
	assert_int_equal(begin(f, &err), -1);
	assert_non_null(strstr(err.msg, "not what it was"));
}

static void what_cannot_be_sent_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;
	char path[64];

	snprintf(path, sizeof(path), "%s/pipe", f->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	add(f, "pipe");
	assert_int_equal(begin(f, &err), -1);
	assert_non_null(strstr(err.msg, "no regular file"));
	files_free(take_ptr(f->files));
	json_array_clear(f->volumes);
	put(f, "large", "");
	snprintf(path, sizeof(path), "%s/large", f->dir);
	assert_int_equal(truncate(path, FILES_CONTENT_MAX + 1), 0);
	add(f, "large");
	assert_int_equal(begin(f, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	files_free(take_ptr(f->files));
	json_array_clear(f->volumes);
	add(f, "absent");
	assert_int_equal(begin(f, &err), -1);
	assert_int_equal(err.sys, ENOENT);
}

static void a_guest_that_refuses_or_goes_is_told_of(void **state)
{
	struct fixture *f = *state;
	struct qbx_err err;

	put(f, "a", "one");
	add(f, "a");
	f->refuse = true;
	assert_int_equal(begin(f, &err), 0);
	run(f);
	assert_int_equal(f->code, TTRPC_INVALID_ARGUMENT);
	assert_string_equal(f->message, "volume /x: no room");
	files_free(take_ptr(f->files));
	f->done = false;
	assert_int_equal(begin(f, &err), 0);
	ttrpc_free(take_ptr(f->guest));
	run(f);
	assert_true(f->done);
	assert_int_equal(f->code, TTRPC_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_files_there_is_nothing_to_wait_for),
		TEST(all_are_sent_and_then_what_changes),
		TEST(a_directory_of_symlinks_is_swapped),
		TEST(what_leads_out_later_is_not_followed),
		TEST(a_symlink_from_the_start_is_what_was_seen),
		TEST(what_cannot_be_sent_is_an_error),
		TEST(a_guest_that_refuses_or_goes_is_told_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
