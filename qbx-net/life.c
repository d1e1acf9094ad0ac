/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c - is a box's network still wanted?
 *
 * The rule, also in qbx-net(8). A lease is dead, if nobody is at work on it, and its VM does not run,
 * when
 *   - its add, or its del, has not finished: whoever began it has gone, or would hold the lock; or
 *   - its namespace has gone: nobody can get into it any more; or
 *   - the process that it was made for has gone, and nobody is in the namespace that we made.
 * One that was made by hand, for no process, is kept: a person may be in the middle of the pipeline.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "json.h"
#include "lease.h"
#include "netns.h"

const char *life_name(enum life life)
{
	static const char *const names[] = { [LIFE_BUSY] = "busy",
					     [LIFE_USED] = "used",
					     [LIFE_KEPT] = "kept",
					     [LIFE_DEAD] = "dead" };

	return names[life];
}

static bool runs(const struct proc_id *id)
{
	_cleanup_close_ int fd = proc_open(id);

	return fd >= 0;
}

/* Whatever qbx-vm has written down before it started anything. */
static bool vm_runs(const struct config *cfg, const char *key)
{
	struct qbx_err none = { 0 };
	struct proc_id id;
	json_auto_t *vm = NULL;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s/vm.json", cfg->run_dir, key) >= (int)sizeof(path))
		return false;
	vm = json_read_file(AT_FDCWD, path, &none);
	return vm && proc_from_json(vm, &id, &none) == 0 && runs(&id);
}

/* Is any process in the namespace? Not being able to tell counts as yes. */
static bool inhabited(int ns)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	struct stat want, st;
	struct dirent *e;
	char path[64];

	if (!d || fstat(ns, &want) < 0)
		return true;
	while ((e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "%.32s/ns/net", e->d_name);
		if (fstatat(dirfd(d), path, &st, 0) == 0 && st.st_dev == want.st_dev &&
		    st.st_ino == want.st_ino)
			return true;
	}
	return false;
}

enum life life_of(const struct config *cfg, const char *key, const struct lease *l,
		  const char **why)
{
	struct qbx_err gone = { 0 };
	_cleanup_close_ int ns = netns_of(l, key, &gone);

	*why = "its VM runs";
	if (vm_runs(cfg, key))
		return LIFE_USED;
	*why = "its add or del has not finished";
	if (!l->net)
		return LIFE_DEAD;
	*why = "its namespace has gone";
	if (ns < 0)
		return gone.sys == ENOENT ? LIFE_DEAD : LIFE_KEPT;
	*why = "a process is in its namespace";
	if (!l->given && inhabited(ns)) /* a given one has other people's in it */
		return LIFE_USED;
	*why = "it was made by hand";
	if (!l->owner.pid)
		return LIFE_KEPT;
	*why = runs(&l->owner) ? "who made it is there" : "who made it has gone";
	return runs(&l->owner) ? LIFE_KEPT : LIFE_DEAD;
}
