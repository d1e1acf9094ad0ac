/* SPDX-License-Identifier: Apache-2.0 */
/* tree_read.c - what a container has written, as records: the half that believes a guest's disk */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "tree.h"

#define UPPER_NAME "upper" /* as doc.c has it */
#define NOBODY 65534
#define OVERLAY "trusted.overlay."
#define OVERLAY_OPAQUE OVERLAY "opaque"

struct reading {
	const struct ext4fs *fs;
	tree_send_fn *send;
	void *arg;
	uint64_t bytes_left;
	unsigned entries, depth, xattrs;
	uint32_t *seen; /* files with several names that were sent */
	size_t nseen;
};

static int send(struct reading *r, const struct tree_head *h, const char *name, const void *data,
		struct qbx_err *err)
{
	return r->send(r->arg, h, name, data) < 0 ? err_sys(err, errno, "send the tree") : 0;
}

/* ---- attributes and data ---- */

static int send_xattr(void *arg, const char *name, const void *value, size_t len,
		      struct qbx_err *err)
{
	struct reading *r = arg;
	struct tree_head h = { .type = TREE_XATTR };

	if (!strncmp(name, OVERLAY, strlen(OVERLAY)) && strcmp(name, OVERLAY_OPAQUE) != 0)
		return 0;
	if (++r->xattrs > TREE_XATTRS_MAX)
		return err_code(err, EX_DATAERR, "more than %u extended attributes",
				TREE_XATTRS_MAX);
	h.name_len = (uint32_t)strlen(name);
	h.len = (uint32_t)len;
	return send(r, &h, name, value, err);
}

static int send_data(void *arg, uint64_t offset, uint64_t len, uint64_t at, struct qbx_err *err)
{
	static uint8_t chunk[TREE_CHUNK_MAX];
	struct reading *r = arg;
	struct tree_head h = { .type = TREE_DATA };

	if (len > r->bytes_left)
		return err_code(err, EX_DATAERR, "more data than the disk has room for");
	r->bytes_left -= len;
	while (len > 0) {
		h.len = len < sizeof(chunk) ? (uint32_t)len : sizeof(chunk);
		h.size = offset;
		if (r->fs->read(r->fs->arg, at, chunk, h.len) < 0)
			return err_sys(err, errno, "read a file's data");
		if (send(r, &h, NULL, chunk, err) < 0)
			return -1;
		offset += h.len;
		at += h.len;
		len -= h.len;
	}
	return 0;
}

/* ---- entries ---- */

static int send_tree(struct reading *r, const char *name, uint32_t number, struct qbx_err *err);

/* Of a file with several names the first is sent as a file. Return: 1 if it was, 0, or -1. */
static int was_sent(struct reading *r, uint32_t number, struct qbx_err *err)
{
	uint32_t *grown;

	for (size_t i = 0; i < r->nseen; i++)
		if (r->seen[i] == number)
			return 1;
	if ((r->nseen & (r->nseen + 1)) == 0) {
		grown = realloc(r->seen, (2 * r->nseen + 1) * sizeof(*grown));
		if (!grown)
			return err_sys(err, ENOMEM, "note a file");
		r->seen = grown;
	}
	r->seen[r->nseen++] = number;
	return 0;
}

static int send_file(struct reading *r, const struct ext4fs_inode *inode, struct tree_head *h,
		     const char *name, uint32_t number, struct qbx_err *err)
{
	int sent = inode->links > 1 ? was_sent(r, number, err) : 0;

	if (sent < 0)
		return -1;
	h->id = inode->links > 1 ? number : 0;
	if (sent) {
		*h = (struct tree_head){ .type = TREE_LINK, .id = number, .name_len = h->name_len };
		return send(r, h, name, NULL, err);
	}
	h->type = TREE_FILE;
	h->size = inode->size;
	/* Attributes last: writing takes a file's capabilities away. */
	if (send(r, h, name, NULL, err) < 0 || ext4fs_extents(r->fs, inode, send_data, r, err) < 0)
		return -1;
	return ext4fs_xattrs(r->fs, inode, send_xattr, r, err);
}

static int send_symlink(struct reading *r, const struct ext4fs_inode *inode, struct tree_head *h,
			const char *name, struct qbx_err *err)
{
	char target[EXT4FS_BLOCK];

	h->type = TREE_SYMLINK;
	if (ext4fs_target(r->fs, inode, target, err) < 0)
		return -1;
	h->len = (uint32_t)inode->size;
	if (send(r, h, name, target, err) < 0)
		return -1;
	return ext4fs_xattrs(r->fs, inode, send_xattr, r, err);
}

static int send_node(struct reading *r, const struct ext4fs_inode *inode, struct tree_head *h,
		     const char *name, struct qbx_err *err)
{
	h->type = TREE_NODE;
	h->major = inode->major;
	h->minor = inode->minor;
	if (send(r, h, name, NULL, err) < 0)
		return -1;
	return ext4fs_xattrs(r->fs, inode, send_xattr, r, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): by at most TREE_DEPTH_MAX */
static int send_entry(void *arg, const char *name, uint32_t number, struct qbx_err *err)
{
	return send_tree(arg, name, number, err);
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static int send_dir(struct reading *r, const struct ext4fs_inode *inode, struct tree_head *h,
		    const char *name, struct qbx_err *err)
{
	const struct tree_head up = { .type = TREE_UP };

	if (++r->depth > TREE_DEPTH_MAX)
		return err_code(err, EX_DATAERR, "directories more than %u deep", TREE_DEPTH_MAX);
	h->type = TREE_DIR;
	if (send(r, h, name, NULL, err) < 0 ||
	    ext4fs_xattrs(r->fs, inode, send_xattr, r, err) < 0 ||
	    ext4fs_entries(r->fs, inode, send_entry, r, err) < 0)
		return -1;
	r->depth--;
	return send(r, &up, NULL, NULL, err);
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static int send_tree(struct reading *r, const char *name, uint32_t number, struct qbx_err *err)
{
	struct tree_head h = { .name_len = (uint32_t)strlen(name) };
	struct ext4fs_inode inode;

	if (++r->entries > TREE_ENTRIES_MAX)
		return err_code(err, EX_DATAERR, "more than %u files", TREE_ENTRIES_MAX);
	if (ext4fs_inode(r->fs, number, &inode, err) < 0)
		return -1;
	if (!name[0] && !S_ISDIR(inode.mode))
		return err_code(err, EX_DATAERR,
				"the file system is damaged: what is to be the root is no directory");
	r->xattrs = 0;
	h.mode = inode.mode;
	h.uid = inode.uid;
	h.gid = inode.gid;
	h.mtime = inode.mtime;
	h.mtime_ns = inode.mtime_ns;
	switch (inode.mode & S_IFMT) {
	case S_IFDIR:
		return send_dir(r, &inode, &h, name, err);
	case S_IFREG:
		return send_file(r, &inode, &h, name, number, err);
	case S_IFLNK:
		return send_symlink(r, &inode, &h, name, err);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return send_node(r, &inode, &h, name, err);
	default:
		return err_code(err, EX_DATAERR, "the file system is damaged: a file of no type");
	}
}

/* ---- the whole ---- */

static int find_upper(void *arg, const char *name, uint32_t number, struct qbx_err *err)
{
	uint32_t *found = arg;

	(void)err;
	if (strcmp(name, UPPER_NAME) != 0)
		return 0;
	*found = number;
	return 1;
}

int tree_read(const struct ext4fs *fs, uint64_t bytes_max, tree_send_fn *to, void *arg,
	      struct qbx_err *err)
{
	struct reading r = { .fs = fs, .send = to, .arg = arg, .bytes_left = bytes_max };
	const struct tree_head end = { .type = TREE_END };
	struct ext4fs_inode root;
	uint32_t upper = 0;
	int ret;

	if (ext4fs_inode(fs, EXT4FS_ROOT, &root, err) < 0 ||
	    ext4fs_entries(fs, &root, find_upper, &upper, err) < 0)
		return -1;
	if (!upper) {
		err_code(err, EX_DATAERR, "no guest has used the file system yet");
		return -1;
	}
	ret = send_tree(&r, "", upper, err);
	free(r.seen);
	return ret < 0 ? -1 : send(&r, &end, NULL, NULL, err);
}

/* ---- the process ---- */

static int read_disk(void *arg, uint64_t offset, void *buf, size_t len)
{
	const int *fd = arg;
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(*fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n == 0)
			errno = EIO; /* beyond the file's end */
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int write_pipe(void *arg, const struct tree_head *h, const char *name, const void *data)
{
	const int *fd = arg;

	if (io_write_all(*fd, h, sizeof(*h)) < 0)
		return -1;
	if (h->name_len && io_write_all(*fd, name, h->name_len) < 0)
		return -1;
	return h->len ? io_write_all(*fd, data, h->len) : 0;
}

#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* All that is left is to read the disk, to write records, to get memory and to end. */
static int filter(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_pread64),
		ALLOW(SYS_write),
		ALLOW(SYS_exit_group),
		ALLOW(SYS_brk),
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_mremap),
		ALLOW(SYS_madvise),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#ifdef __SANITIZE_ADDRESS__
#define MEMORY_MAX RLIM_INFINITY /* its shadow counts */
#else
#define MEMORY_MAX (256u << 20)
#endif

static int give_up_rights(struct qbx_err *err)
{
	const struct rlimit none = { 0, 0 }, memory = { MEMORY_MAX, MEMORY_MAX };

	if (close_range(2, ~0u, 0) < 0)
		return err_sys(err, errno, "close what the reader is not to have");
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return err_sys(err, errno, "become nobody");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &none) < 0 || setrlimit(RLIMIT_DATA, &memory) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter() < 0)
		return err_sys(err, errno, "confine the reader");
	return 0;
}

_Noreturn void tree_reader(int from, int pipe, uint64_t bytes_max)
{
	int disk = STDIN_FILENO, to = STDOUT_FILENO;
	struct tree_head failed = { .type = TREE_FAILED };
	struct qbx_err err = { 0 };
	struct ext4fs fs;

	if (dup2(from, disk) < 0 || dup2(pipe, to) < 0)
		_exit(1);
	if (give_up_rights(&err) == 0 && ext4fs_open(&fs, read_disk, &disk, &err) == 0 &&
	    tree_read(&fs, bytes_max, write_pipe, &to, &err) == 0)
		_exit(0);
	failed.len = (uint32_t)strlen(err.msg);
	failed.id = (uint32_t)err.code;
	(void)write_pipe(&to, &failed, NULL, err.msg);
	_exit(1);
}
