/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4.c - empty ext4 file systems in files, made by mke2fs
 *
 * All that matters is said here, and no mke2fs.conf(5) is read: the same options make the same file
 * system on every host, with nothing that the guest's kernel does not know.
 *
 * A journal, as guests get killed: what is lost then is what was not written yet, not the file
 * system. It is small, as what it has once used stays used on the host. No blocks are kept back for
 * root, and an error makes the file system read-only. Inode tables and journal are holes of the new
 * file, which read as zeros: nothing has to be written for them, neither now nor by the guest. All
 * copies have the same UUID, but no guest sees two.
 */
#include "ext4.h"

#include <errno.h>
#include <string.h>

#include "fs.h"
#include "proc.h"

/* Changes with the options below: what was made by others is not used any more. */
#define VERSION "1"
#define EXTENDED "lazy_itable_init=0,lazy_journal_init=1,discard,root_owner=0:0"
#define OUTPUT_FD 3
#define OUTPUT_PATH "/proc/self/fd/3"
#define SAYS_MAX 65536u
#define MKE2FS_MS 120000

/* No others: "none" comes first. */
static const char features[] =
	"none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
	"large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

struct job {
	unsigned mib;
	const char *const *argv;
};

static int failed(const struct proc_output *o, struct qbx_err *err)
{
	if (o->status > 128)
		return err_code(err, EX_UNAVAILABLE, "mke2fs was killed by signal %d",
				o->status - 128);
	return err_code(err, EX_UNAVAILABLE, "mke2fs: %.300s", proc_output_says(o));
}

static int build(void *arg, int fd, struct qbx_err *err)
{
	const struct job *job = arg;
	const struct proc_fd out = { fd, OUTPUT_FD };
	const char *ours = getenv("PATH");
	_cleanup_free_ char *path = NULL;
	const char *env[] = { "MKE2FS_CONFIG=/dev/null", "LC_ALL=C", NULL, NULL };
	const struct proc_spec spec = { .argv = job->argv,
					.envp = env,
					.fds = &out,
					.nfds = 1,
					.netns = -1,
					.die_with_us = 1 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };

	if (asprintf(&path, "PATH=%s", ours ? ours : "/usr/sbin:/usr/bin:/sbin:/bin") < 0)
		return err_sys(err, ENOMEM, "run mke2fs");
	env[2] = path;
	if (ftruncate(fd, (off_t)job->mib << 20) < 0)
		return err_sys(err, errno, "make a file of %u MiB", job->mib);
	if (proc_run(&spec, NULL, 0, SAYS_MAX, MKE2FS_MS, &o, err) == 0)
		return o.status ? failed(&o, err) : 0;
	return err->sys == ENOENT
		       ? err_hint(err, "install e2fsprogs, or set \"writable\" to \"tmpfs\"")
		       : -1;
}

void ext4_name(char name[EXT4_NAME_MAX], unsigned mib)
{
	snprintf(name, EXT4_NAME_MAX, EXT4_PREFIX VERSION "-%u.img", mib);
}

char *ext4_template(const struct cache *c, unsigned mib, struct qbx_err *err)
{
	const char *journal = mib < 256 ? "size=4" : "size=16"; /* MiB */
	const char *const argv[] = { "mke2fs", "-q",	 "-F",	       "-b", "4096",
				     "-I",     "256",	 "-m",	       "0",  "-J",
				     journal,  "-e",	 "remount-ro", "-O", features,
				     "-E",     EXTENDED, OUTPUT_PATH,  NULL };
	struct job job = { mib, argv };
	_cleanup_free_ char *path = NULL;
	char name[EXT4_NAME_MAX];

	ext4_name(name, mib);
	path = cache_path(c, name, err);
	if (!path)
		return NULL;
	if (c->dry_run && !cache_has(c, name)) {
		plan_line("make %s of %u MiB:", path, mib);
		plan_argv(argv);
	} else if (!c->dry_run && cache_make(c, name, build, &job, err) < 0) {
		err_wrap(err, "make a file system of %u MiB", mib);
		return NULL;
	}
	return take_ptr(path);
}
