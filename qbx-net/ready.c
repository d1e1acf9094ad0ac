/* SPDX-License-Identifier: Apache-2.0 */
/* ready.c - qbx-net ready: would a network take another box? */
#include <errno.h>
#include <string.h>

#include "cni.h"
#include "conf.h"
#include "net.h"
#include "networks.h"

/* STATUS came with 1.1.0; of an older network only the plugins' being there can be said. */
static int ask_plugin(const struct conf *conf, size_t i, const char *bin_dir, int timeout_ms,
		      struct qbx_err *err)
{
	const struct attachment at = { .conf = *conf };
	const struct chain chain = { .at = &at, .bin_dir = bin_dir };
	_cleanup_(cni_call_free) struct cni_call call = { 0 };

	if (strcmp(conf->version, "1.1.0") < 0)
		return cni_prepare(&chain, i, "STATUS", NULL, &call, err);
	return cni_network(conf, i, "STATUS", NULL, bin_dir, timeout_ms, err);
}

static int ready(struct cli *cli, struct qbx_err *err)
{
	const char *name = net_opts.network ? net_opts.network : cli->cfg.cni_network;
	_cleanup_(conf_free) struct conf conf = { 0 };
	const struct config *cfg = &cli->cfg;
	int timeout_ms = net_plugin_timeout(err);

	if (timeout_ms < 0 || conf_find(cfg, name, &conf, err) < 0)
		return -1;
	if (!conf.list)
		return err_code(err, EX_CONFIG, "no CNI configuration in %s (*.conf, *.conflist)",
				cfg->cni_conf_dir);
	if (version_settle(&conf, cfg->cni_bin_dir, timeout_ms, err) < 0)
		return -1;
	for (size_t i = 0; i < conf_count(&conf); i++)
		if (ask_plugin(&conf, i, cfg->cni_bin_dir, timeout_ms, err) < 0)
			return err_wrap(err, "CNI network %s", conf.name);
	return 0;
}

const struct cli_verb verb_ready = {
	.name = "ready",
	.help = "ask the plugins of the default network, or of --network, whether a box could join",
	.run = ready,
};
