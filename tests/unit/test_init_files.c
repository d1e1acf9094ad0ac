/* SPDX-License-Identifier: Apache-2.0 */
/* Guest/WriteFile: files of volumes, in the bundle of their container. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "qbx-init/files.c"

#define WRITE_FILE_REQUEST QEMUBOX__GUEST__V1__WRITE_FILE_REQUEST__INIT

static struct container *box;

struct container *container_find(const struct vm *vm, const char *id)
{
	(void)vm;
	return strcmp(id, box->id) ? NULL : box;
}

static int bundle_make(void **state)
{
	(void)state;
	box = calloc(1, sizeof(*box));
	if (!box)
		return -1;
	strcpy(box->id, "box");
	strcpy(box->dir, "/tmp/qbx.XXXXXX");
	return mkdtemp(box->dir) ? 0 : -1;
}

static int bundle_remove(void **state)
{
	struct qbx_err err = { 0 };

	(void)state;
	if (io_remove_tree(AT_FDCWD, box->dir, &err) < 0)
		return -1;
	free(box);
	return 0;
}

/* A file of ours that is as large as one may be: what is wrong with it is left to the caller. */
static request_t good(void)
{
	static uint8_t content[CONTENT_MAX + 1];
	request_t r = WRITE_FILE_REQUEST;

	r.id = box->id;
	r.number = VOLUMES_MAX - 1;
	r.mode = 0640;
	r.uid = geteuid();
	r.gid = getegid();
	r.content = (ProtobufCBinaryData){ CONTENT_MAX, content };
	memset(content, 'x', sizeof(content));
	return r;
}

static void writes(const request_t *r)
{
	struct qbx_err err = { 0 };

	if (write_file(NULL, r, &err) < 0)
		fail_msg("%s", err.msg);
}

static void refuses(const request_t *r, const char *why)
{
	struct qbx_err err = { 0 };

	assert_int_equal(write_file(NULL, r, &err), -1);
	assert_int_equal(err.code, EX_DATAERR);
	if (!strstr(err.msg, why))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static struct stat written(unsigned number)
{
	char path[sizeof(box->dir) + 16];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" VOLUMES_FILES "/%u", box->dir, number);
	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void a_file_is_what_was_sent(void **state)
{
	request_t r = good();
	struct stat st, again;

	(void)state;
	writes(&r);
	st = written(r.number);
	assert_int_equal(st.st_size, CONTENT_MAX);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, geteuid());
	/* Once more, and shorter: the same file, for who has it open. */
	r.content.len = 3;
	r.mode = 0400;
	writes(&r);
	again = written(r.number);
	assert_int_equal(again.st_ino, st.st_ino);
	assert_int_equal(again.st_size, 3);
	assert_int_equal(again.st_mode, S_IFREG | 0400);
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	static const char *const ids[] = { "", ".", "..", "../box", "box/..", "a/b", "box\n" };
	request_t r = good();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		r.id = (char *)ids[i];
		refuses(&r, "is not a container id");
	}
	r = good();
	r.number = VOLUMES_MAX;
	refuses(&r, "is not a volume");
	r = good();
	r.mode = 010000;
	refuses(&r, "is not a volume");
	r = good();
	r.content.len++;
	refuses(&r, "more than 1048576");
	r = good();
	r.uid = UINT32_MAX;
	refuses(&r, "has no owner");
	r = good();
	r.gid = UINT32_MAX;
	refuses(&r, "has no owner");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_what_was_sent),
		cmocka_unit_test(what_is_out_of_bounds_is_refused),
	};

	return cmocka_run_group_tests(tests, bundle_make, bundle_remove);
}
