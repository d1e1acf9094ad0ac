/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - qbx-net: the network of a box */
#include <errno.h>
#include <stdlib.h>

#include "net.h"

#define PLUGIN_TIMEOUT_S 30
#define PLUGIN_TIMEOUT_MAX_S 3600

struct net_opts net_opts;

static const struct cli_opt opts[] = {
	{ "plugin-timeout", "SECONDS", "end a plugin that takes longer (default 30)",
	  offsetof(struct net_opts, plugin_timeout) },
	{ "network", "NAME", "ready, gc: the network to ask", offsetof(struct net_opts, network) },
	{ "owner", "PID", "add: the lease is dead when that process has gone",
	  offsetof(struct net_opts, owner) },
	{ "j", NULL, "check, list, gc: print JSON", offsetof(struct net_opts, json) },
	{ NULL, NULL, NULL, 0 },
};

static const struct cli_verb *const verbs[] = { &verb_add,    &verb_del,  &verb_check,
						&verb_status, &verb_list, &verb_gc,
						&verb_ready,  &verb_sync, NULL };

static const struct cli_program program = {
	.name = "qbx-net",
	.purpose = "give a box its network, and take it back",
	.verbs = verbs,
	.opts = opts,
	.values = &net_opts,
};

int net_plugin_timeout(struct qbx_err *err)
{
	char *end;
	long s;

	if (!net_opts.plugin_timeout)
		return PLUGIN_TIMEOUT_S * 1000;
	errno = 0;
	s = strtol(net_opts.plugin_timeout, &end, 10);
	if (errno || *end || s < 1 || s > PLUGIN_TIMEOUT_MAX_S)
		return err_code(err, EX_USAGE, "--plugin-timeout: \"%s\" is not 1 to %d seconds",
				net_opts.plugin_timeout, PLUGIN_TIMEOUT_MAX_S);
	return (int)s * 1000;
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, &program);
}
