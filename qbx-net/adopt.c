/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.c - a namespace that somebody else has made and filled: a pod's, nerdctl's, a person's
 *
 * Whoever filled it gives back what is in it. Ours are the TAPs and the redirections, no more.
 */
#include "join.h"
#include "lease.h"
#include "link.h"
#include "log.h"
#include "netns.h"
#include "networks.h"
#include "result.h"

static int adopt_one(const struct join *j, struct nl_sock *sock, struct rtnl_link *nic,
		     json_t *links, struct qbx_err *err)
{
	struct lease *l = j->lease;
	json_auto_t *link = nic_describe(sock, nic, err);
	size_t i = l->nnets;

	if (!link)
		return -1;
	snprintf(l->nets[i].ifname, IFNAMSIZ, "%s", rtnl_link_get_name(nic));
	snprintf(l->nets[i].name, IFNAMSIZ, "%s", rtnl_link_get_name(nic));
	l->nnets++;
	if (join_tap(j, i, sock, link, err) < 0)
		return -1;
	result_drop_routes(link, links);
	json_array_append(links, link);
	return 0;
}

int adopt(const struct join *j, json_t *links, struct qbx_err *err)
{
	_cleanup_(cleanup_nl_sockp) struct nl_sock *sock = netns_socket(j->ns, err);
	struct rtnl_link *nics[NET_LINKS_MAX];
	size_t n = 0;
	int rc = sock ? nic_list(sock, nics, NET_LINKS_MAX, &n, err) : -1;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = adopt_one(j, sock, nics[i], links, err);
	if (rc == 0 && n == 0)
		log_warn("no network for %s: no Ethernet interface in %s is up", j->key, j->path);
	nic_put(nics, &n);
	phase_mark(j->phases, "adopt");
	return rc < 0 ? err_wrap(err, "network namespace %s", j->path) : 0;
}
