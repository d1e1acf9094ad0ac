/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c - the box's directory, entered under its lock */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "io.h"
#include "vm.h"

/* Does the box's path still lead to this directory, or was it removed while we waited? */
static bool is_current(const struct config *cfg, const struct box *box, int dirfd)
{
	char path[PATH_MAX];
	struct stat a, b;

	snprintf(path, sizeof(path), "%s/%s", cfg->run_dir, box->key);
	return fstat(dirfd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int dir_enter(const struct config *cfg, const struct box *box, bool *made, int *lock,
	      struct qbx_err *err)
{
	/* Again only when somebody has removed it in between, which is progress of theirs. */
	for (;;) {
		_cleanup_close_ int dirfd = box_dir_open(cfg, box, 0, err);
		bool absent = dirfd < 0 && err->sys == ENOENT;

		if (dirfd < 0 && absent && made) {
			err_forget(err);
			dirfd = box_dir_open(cfg, box, 1, err);
		}
		if (dirfd < 0)
			return -1;
		*lock = box_dir_lock(dirfd, err);
		if (*lock < 0)
			return -1;
		if (made)
			*made = absent;
		if (is_current(cfg, box, dirfd))
			return take_fd(&dirfd);
		close(take_fd(lock));
	}
}

int dir_lock_again(const struct config *cfg, const struct box *box, int dirfd, struct qbx_err *err)
{
	int lock = box_dir_lock(dirfd, err);

	if (lock < 0 || is_current(cfg, box, dirfd))
		return lock;
	close(lock);
	return err_code(err, EX_TEMPFAIL, "the box was removed meanwhile");
}

int dir_clear(int dirfd, struct qbx_err *err)
{
	static const char *const names[] = {
		VM_FILE_VM,	   VM_FILE_BOX,	  VM_FILE_TOKEN,     VM_FILE_CONSOLE,
		VM_FILE_QEMU_LOG,  VM_FILE_QMP,	  VM_FILE_EVENTS,    VM_FILE_CONSOLE_OLD,
		VM_FILE_VSOCK_LOG, VM_FILE_SHARE, VM_FILE_SHARE_LOG,
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (unlinkat(dirfd, names[i], 0) < 0 && errno != ENOENT)
			return err_sys(err, errno, "remove %s", names[i]);
	return io_remove_tree(dirfd, VM_DIR_VSOCK, err);
}
