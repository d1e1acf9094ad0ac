/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gc.c - qbx-net gc: give back what dead boxes have left
 *
 * Each lease is judged with its lock held, which is what add and del hold while they work; one that is
 * taken is somebody's who lives. So any number of these can run at once.
 *
 * CNI's own GC says which attachments are valid and has the plugins forget all others, those of other
 * runtimes too. It is sent on request only, with all that the result cache knows, of anybody, and while
 * no add and no del of ours is under way.
 */
#include <errno.h>
#include <string.h>

#include "cache.h"
#include "cni.h"
#include "conf.h"
#include "join.h"
#include "lease.h"
#include "log.h"
#include "net.h"
#include "netns.h"

struct gc {
	struct cli *cli;
	int timeout_ms;
	json_t *given;	      /* keys of those that were given back */
	json_t *dead;	      /* the same, and of those that could not be */
	struct qbx_err first; /* failure */
};

static void note(struct gc *gc, const struct qbx_err *e)
{
	if (gc->first.code)
		log_warn("%s", e->msg);
	else
		gc->first = *e;
}

static int give_back(struct gc *gc, const char *key, struct lease *l, const char *why,
		     const struct lease_lock *lock, struct qbx_err *err)
{
	char path[NETNS_PATH_MAX];
	const struct join j = { .cfg = &gc->cli->cfg,
				.key = key,
				.path = netns_path_of(l, key, path),
				.lease = l,
				.lock = lock,
				.ns = -1,
				.timeout_ms = gc->timeout_ms };

	json_array_append_new(gc->dead, json_string(key));
	if (gc->cli->dry_run) {
		printf("# %s: %s\n", key, why);
		return plan_del(&j, err);
	}
	log_debug("%s: %s", key, why);
	if (undo(&j, err) < 0)
		return err_wrap(err, "%s", key);
	json_array_append_new(gc->given, json_string(key));
	return 0;
}

/* The lock goes at the end, and with it what a killed holder has left of it. */
static int collect(void *arg, const struct box *box, struct qbx_err *unused)
{
	struct gc *gc = arg;
	const struct config *cfg = &gc->cli->cfg;
	_cleanup_(lease_unlock) struct lease_lock lock = { .fd = -1 };
	_cleanup_(lease_free) struct lease l = { 0 };
	struct qbx_err e = { 0 };
	const char *why;
	int got = lease_try_lock(cfg, box->key, &lock, &e);
	int found = got > 0 ? lease_read(cfg, box->key, &l, &e) : 0;

	(void)unused; /* one that fails must not keep the others */
	if (found > 0 && life_of(cfg, box->key, &l, &why) == LIFE_DEAD)
		found = give_back(gc, box->key, &l, why, &lock, &e);
	if (got < 0 || found < 0)
		note(gc, &e);
	return 0;
}

static bool is_among(const json_t *strings, const char *text)
{
	json_t *e;
	size_t i;

	json_array_foreach ((json_t *)strings, i, e)
		if (!strcmp(json_string_value(e), text))
			return true;
	return false;
}

struct valid {
	const struct gc *gc;
	const char *network;
	json_t *all;
};

static void add_valid(const struct valid *v, const char *id, const char *ifname)
{
	json_t *one = json_pack("{s:s, s:s}", "containerID", id, "ifname", ifname), *e;
	size_t i;

	json_array_foreach (v->all, i, e)
		if (json_equal(e, one)) {
			json_decref(one);
			return;
		}
	json_array_append_new(v->all, one);
}

/* Ours are in the cache, unless somebody has tidied that up. */
static int add_leased(void *arg, const struct box *box, struct qbx_err *unused)
{
	const struct valid *v = arg;
	_cleanup_(lease_free) struct lease l = { 0 };
	struct qbx_err e = { 0 };

	(void)unused;
	if (is_among(v->gc->dead, box->key) || lease_read(&v->gc->cli->cfg, box->key, &l, &e) <= 0)
		return 0;
	for (size_t i = 0; i < l.nnets; i++)
		if (l.nets[i].conf.list && !strcmp(l.nets[i].conf.name, v->network))
			add_valid(v, box->key, l.nets[i].ifname);
	return 0;
}

static int add_cached(const struct valid *v, struct qbx_err *err)
{
	json_auto_t *all = cache_read(&v->gc->cli->cfg, err);
	json_t *entry;
	size_t i;

	json_array_foreach (all, i, entry) {
		const char *id = json_string_value(json_object_get(entry, "containerId"));
		const char *name = json_string_value(json_object_get(entry, "networkName"));
		const char *ifname = json_string_value(json_object_get(entry, "ifName"));

		if (!strcmp(name, v->network) && !is_among(v->gc->dead, id))
			add_valid(v, id, ifname);
	}
	return all ? 0 : -1;
}

static int tell_plugins(struct gc *gc, const struct conf *conf, const json_t *valid)
{
	const struct config *cfg = &gc->cli->cfg;

	for (size_t i = 0; i < conf_count(conf); i++) {
		struct qbx_err e = { 0 };
		int rc = gc->cli->dry_run ? plan_gc(conf, i, valid, cfg, &e)
					  : cni_network(conf, i, "GC", valid, cfg->cni_bin_dir,
							gc->timeout_ms, &e);

		if (rc < 0)
			note(gc, &e);
	}
	return 0;
}

static int collect_network(struct gc *gc, const char *name, struct qbx_err *err)
{
	const struct config *cfg = &gc->cli->cfg;
	_cleanup_(conf_free) struct conf conf = { 0 };
	_cleanup_close_ int lock = -1;
	json_auto_t *valid = json_array();
	struct valid v = { .gc = gc, .network = name, .all = valid };

	if (conf_find(cfg, name, &conf, err) < 0 ||
	    version_settle(&conf, cfg->cni_bin_dir, gc->timeout_ms, err) < 0)
		return -1;
	if (strcmp(conf.version, "1.1.0") < 0)
		return err_code(err, EX_CONFIG, "CNI network %s: it is of version %s, GC of 1.1.0",
				name, conf.version);
	if (conf_says(&conf, "disableGC"))
		return err_code(err, EX_CONFIG, "CNI network %s: %s says disableGC", name,
				conf.path);
	lock = gc->cli->dry_run ? -1 : lease_lock_all(cfg, err);
	if ((lock < 0 && !gc->cli->dry_run) || leases_each(cfg, add_leased, &v, err) < 0 ||
	    add_cached(&v, err) < 0)
		return -1;
	return tell_plugins(gc, &conf, valid);
}

static int print(const struct gc *gc, struct qbx_err *err)
{
	json_t *key;
	size_t i;

	if (gc->cli->dry_run)
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	if (net_opts.json)
		return cli_emit(gc->given, err);
	json_array_foreach (gc->given, i, key)
		printf("%s\n", json_string_value(key));
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int gc(struct cli *cli, struct qbx_err *err)
{
	json_auto_t *given = json_array(), *dead = json_array();
	struct gc g = { .cli = cli, .given = given, .dead = dead };

	g.timeout_ms = net_plugin_timeout(err);
	if (g.timeout_ms < 0 || leases_each(&cli->cfg, collect, &g, err) < 0 ||
	    (net_opts.network && collect_network(&g, net_opts.network, err) < 0))
		return -1;
	if (print(&g, err) < 0)
		return -1;
	if (g.first.code)
		*err = g.first;
	return g.first.code ? -1 : 0;
}

const struct cli_verb verb_gc = {
	.name = "gc",
	.help = "give back what dead boxes have left, and print their names; with --network also "
		"have "
		"its plugins forget what is nobody's",
	.run = gc,
};
