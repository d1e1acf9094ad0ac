/* SPDX-License-Identifier: Apache-2.0 */
/* quiet.c - a container's disk, while nobody writes to it */
#include "quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "fs.h"
#include "json.h"
#include "still.h"

static int open_disk(struct quiet *q, struct qbx_err *err)
{
	struct stat st;

	q->disk = open(q->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (q->disk < 0 || fstat(q->disk, &st) < 0)
		return err_sys(err, errno, "open %s", q->path);
	if (!S_ISREG(st.st_mode))
		return err_code(err, EX_DATAERR, "%s: not a regular file", q->path);
	q->size = (uint64_t)st.st_size;
	return 0;
}

/* An open file of its own, as the reader's may live on for a moment when we are killed. */
static int lock_disk(struct quiet *q, struct qbx_err *err)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", q->disk);
	q->lock = open(self, O_RDONLY | O_CLOEXEC);
	if (q->lock >= 0 && flock(q->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (q->lock < 0 || errno != EWOULDBLOCK)
		return err_sys(err, errno, "lock %s", q->path);
	err_sys(err, EBUSY, "%s", q->path);
	return err_hint(err, "another export of it runs");
}

/* The byte that qbx-vm locks for a VM that writes. Return: 1, 0 if a VM has it, or -1 with @err. */
static int keep_vms_away(const struct quiet *q, struct qbx_err *err)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };

	if (fcntl(q->lock, F_OFD_SETLK, &l) == 0)
		return 1;
	return errno == EAGAIN || errno == EACCES ? 0 : err_sys(err, errno, "lock %s", q->path);
}

/* Is it what the box of that directory writes to? Its document is there as long as the VM is. */
static bool is_box_disk(const struct quiet *q, int dirfd)
{
	struct qbx_err ignored = { 0 };
	json_auto_t *doc = json_read_file(dirfd, "box.json", &ignored);
	json_t *disks = json_object_get(json_object_get(doc, "fs"), "disks"), *disk;
	size_t i;

	json_array_foreach (disks, i, disk) {
		const char *path = json_string_value(json_object_get(disk, "path"));

		if (json_is_false(json_object_get(disk, "readonly")) && path &&
		    !strcmp(path, q->path))
			return true;
	}
	return false;
}

static int find_still(struct quiet *q, const struct config *cfg, const struct box *box,
		      struct qbx_err *err)
{
	struct qbx_err why = { 0 };
	_cleanup_close_ int dirfd = box_dir_open(cfg, box, 0, &why);

	if (dirfd >= 0)
		q->still = still_open(dirfd, &why);
	if (q->still < 0 && why.sys != ENOENT) {
		*err = why;
		return -1;
	}
	if (q->still >= 0 && is_box_disk(q, dirfd))
		return 0;
	err_code(err, EX_TEMPFAIL, "%s: the file system is in use", q->path);
	return err_hint(err, "stop the container, or pause it");
}

int quiet_open(struct quiet *q, const struct writable *w, const struct config *cfg,
	       const struct box *box, struct qbx_err *err)
{
	int free_;

	*q = (struct quiet){ .path = w->path, .disk = -1, .lock = -1, .still = -1 };
	if (!w->disk)
		return err_code(err, EX_DATAERR, "what the container writes is on no disk");
	if (open_disk(q, err) < 0 || lock_disk(q, err) < 0)
		return -1;
	free_ = keep_vms_away(q, err);
	return free_ == 0 ? find_still(q, cfg, box, err) : free_ < 0 ? -1 : 0;
}

int quiet_lasts(const struct quiet *q, struct qbx_err *err)
{
	if (q->still < 0 || still_lasts(q->still))
		return 0;
	err_code(err, EX_TEMPFAIL, "the container went on");
	return err_hint(err, "pause it again");
}

void quiet_close(struct quiet *q)
{
	int *all[] = { &q->disk, &q->lock, &q->still };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			close(take_fd(all[i]));
}
