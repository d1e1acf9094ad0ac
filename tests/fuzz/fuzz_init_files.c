/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_init_files.c - Guest/WriteFile: a file of the host's, as the guest writes it down */
#include "fuzz.h"

#include "qbx-init/files.c"

static struct container *box;

struct container *container_find(const struct vm *vm, const char *id)
{
	(void)vm;
	(void)id;
	return box;
}

static void remove_bundle(void)
{
	struct qbx_err err = { 0 };

	if (io_remove_tree(AT_FDCWD, box->dir, &err) < 0)
		abort();
}

static void make_bundle(void)
{
	box = calloc(1, sizeof(*box));
	if (!box)
		abort();
	strcpy(box->dir, "/tmp/qbx.XXXXXX");
	if (!mkdtemp(box->dir) || atexit(remove_bundle))
		abort();
}

/* A file of that number, with all of what was sent, and nothing beside it. */
static void check_written(const request_t *r)
{
	char path[sizeof(box->dir) + 16];
	struct stat st;

	if (r->number >= VOLUMES_MAX || r->mode > 07777 || strchr(r->id, '/') || r->id[0] == '.')
		abort();
	snprintf(path, sizeof(path), "%s/" VOLUMES_FILES "/%u", box->dir, r->number);
	if (lstat(path, &st) < 0 || st.st_mode != (S_IFREG | r->mode) || st.st_uid != r->uid ||
	    st.st_gid != r->gid || st.st_size != (off_t)r->content.len || unlink(path) < 0)
		abort();
	*strrchr(path, '/') = '\0';
	if (rmdir(path) < 0 || rmdir(box->dir) < 0)
		abort();
}

static void write_and_check(const request_t *r)
{
	struct qbx_err err = { 0 };

	if (write_file(NULL, r, &err) == 0)
		check_written(r);
	else if (!err.msg[0])
		abort();
	remove_bundle(); /* a file that cannot be given to its owner is there, too */
	if (mkdir(box->dir, 0700) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	request_t *r = qemubox__guest__v1__write_file_request__unpack(NULL, size, data);

	if (!r)
		return 0;
	if (!box)
		make_bundle();
	write_and_check(r);
	qemubox__guest__v1__write_file_request__free_unpacked(r, NULL);
	return 0;
}
