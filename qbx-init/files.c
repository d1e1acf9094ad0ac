/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - single files of the host in a container's bundle: Guest/WriteFile */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "container.h"
#include "guest.pb-c.h"
#include "init.h"
#include "io.h"
#include "volumes.h"

#define CONTENT_MAX (1u << 20)
#define EARLY_ROOT "/run/qbx-files" /* EARLY_ROOT/<id>, until there is a bundle */

typedef Qemubox__Guest__V1__WriteFileRequest request_t;

static int check(const request_t *r, struct qbx_err *err)
{
	if (!box_name_ok(r->id))
		return err_code(err, EX_DATAERR, "\"%.80s\" is not a container id", r->id);
	if (r->number >= VOLUMES_MAX || r->mode > 07777)
		return err_code(err, EX_DATAERR, "file %u of mode %o is not a volume", r->number,
				r->mode);
	if (r->content.len > CONTENT_MAX)
		return err_code(err, EX_DATAERR, "file %u has %zu bytes, more than %u", r->number,
				r->content.len, CONTENT_MAX);
	if (r->uid == UINT32_MAX || r->gid == UINT32_MAX) /* "as it is", to the kernel */
		return err_code(err, EX_DATAERR, "file %u has no owner", r->number);
	return 0;
}

/* The directory of a container's files, which is made. Return: descriptor, or -1 with @err. */
static int open_dir(const struct container *c, const char *id, struct qbx_err *err)
{
	char path[sizeof(c->dir) + sizeof(VOLUMES_FILES) + sizeof(EARLY_ROOT)];
	int fd;

	if (c)
		snprintf(path, sizeof(path), "%s/" VOLUMES_FILES, c->dir);
	else
		snprintf(path, sizeof(path), EARLY_ROOT "/%s", id);
	if (io_mkdirs(path, 0700, err) < 0)
		return -1;
	fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

/* Over what is there, and only then shorter: who reads meanwhile finds no empty file. */
static int write_over(int dirfd, const char *name, const request_t *r, struct qbx_err *err)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || io_write_all(fd, r->content.data, r->content.len) < 0 ||
	    ftruncate(fd, (off_t)r->content.len) < 0 || fchown(fd, r->uid, r->gid) < 0 ||
	    fchmod(fd, r->mode) < 0)
		return err_sys(err, errno, "write file %s", name);
	return 0;
}

static int write_file(const struct vm *vm, const request_t *r, struct qbx_err *err)
{
	_cleanup_close_ int dirfd = -1;
	char name[16];

	if (check(r, err) < 0)
		return -1;
	dirfd = open_dir(container_find(vm, r->id), r->id, err);
	if (dirfd < 0)
		return -1;
	snprintf(name, sizeof(name), "%u", r->number);
	return write_over(dirfd, name, r, err);
}

void files_handle(struct ttrpc_call *call, const ProtobufCMessage *request, void *arg)
{
	Qemubox__Guest__V1__WriteFileResponse reply = QEMUBOX__GUEST__V1__WRITE_FILE_RESPONSE__INIT;
	struct qbx_err err = { 0 };

	if (write_file(arg, (const request_t *)request, &err) < 0)
		ttrpc_fail_err(call, &err);
	else
		ttrpc_reply(call, &reply.base);
}

int files_take(const char *id, const char *dir, struct qbx_err *err)
{
	char from[sizeof(EARLY_ROOT) + 1 + BOX_NAME_MAX],
		to[sizeof(((struct container *)0)->dir) + 8];

	snprintf(from, sizeof(from), EARLY_ROOT "/%s", id);
	snprintf(to, sizeof(to), "%s/" VOLUMES_FILES, dir);
	if (rename(from, to) < 0 && errno != ENOENT)
		return err_sys(err, errno, "take the files of %s", id);
	return 0;
}
