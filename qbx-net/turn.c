/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.c - whoever is first on a network goes first
 *
 * A plugin makes what all boxes of a network share, a bridge or a chain of the firewall, when the first
 * one joins, and several at once may trip over each other in it: "CNI-FORWARD exists". So while nobody
 * is on a network, one joins at a time. That somebody is there can be seen in the result cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "conf.h"
#include "join.h"
#include "lease.h"
#include "log.h"

static bool anybody_on(const struct config *cfg, const char *network)
{
	_cleanup_closedir_ DIR *d = NULL;
	size_t len = strlen(network);
	char path[PATH_MAX];
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/results", cfg->cni_cache_dir);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, network, len) && e->d_name[len] == '-')
			return true;
	return false;
}

static bool all_in_use(const struct config *cfg, const struct lease *l)
{
	for (size_t i = 0; i < l->nnets; i++)
		if (!anybody_on(cfg, l->nets[i].conf.name))
			return false;
	return true;
}

int turn_take(const struct config *cfg, const struct lease *l)
{
	_cleanup_close_ int fd = -1;

	if (all_in_use(cfg, l))
		return -1;
	fd = open(cfg->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		log_debug("lock %s: %s", cfg->state_dir, strerror(errno));
		return -1;
	}
	/* While we waited the first one has made it, most often. */
	return all_in_use(cfg, l) ? -1 : take_fd(&fd);
}
