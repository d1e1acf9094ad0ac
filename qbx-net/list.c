/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - qbx-net list: the network of every box of this host */
#include <errno.h>
#include <string.h>

#include "lease.h"
#include "net.h"

int leases_each(const struct config *cfg, leases_fn *fn, void *arg, struct qbx_err *err)
{
	static const char *const ends[] = { ".json", ".lock", ".json.new" };
	struct dirent **names;
	char dir[PATH_MAX], last[BOX_KEY_MAX] = "";
	int n, ret = 0;

	snprintf(dir, sizeof(dir), "%s/leases", cfg->state_dir);
	n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "list %s", dir);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		for (size_t e = 0; e < ARRAY_SIZE(ends); e++) {
			size_t len = strlen(name), tail = strlen(ends[e]);
			_cleanup_(box_free) struct box box = { 0 };

			if (ret < 0 || len <= tail || strcmp(name + len - tail, ends[e]) != 0 ||
			    lease_box(name, len - tail, &box) < 0 || !strcmp(last, box.key))
				continue;
			memcpy(last, box.key, sizeof(last));
			ret = fn(arg, &box, err);
		}
		free(names[i]);
	}
	free(names);
	return ret;
}

struct listing {
	const struct config *cfg;
	json_t *all;
};

static int add(void *arg, const struct box *box, struct qbx_err *err)
{
	const struct listing *l = arg;
	json_t *report = status_report(l->cfg, box, err);

	if (!report)
		return -1;
	if (json_object_get(report, "why"))
		return json_array_append_new(l->all, report);
	json_decref(report); /* a lock that was left behind */
	return 0;
}

static void print_network(const json_t *box, const json_t *network)
{
	const char *id, *namespace, *state, *name = "-", *ifname = "-", *tap = "-";
	json_t *addresses = NULL, *address;
	size_t i;

	json_unpack((json_t *)box, "{s:s, s:s, s:s}", "id", &id, "namespace", &namespace, "state",
		    &state);
	json_unpack((json_t *)network, "{s?s, s?s, s?s, s?o}", "name", &name, "ifname", &ifname,
		    "tap", &tap, "addresses", &addresses);
	printf("%-16s %-24s %-8s %-16s %-10s %-6s", namespace, id, state, name, ifname, tap);
	json_array_foreach (addresses, i, address)
		printf("%s%s", i ? "," : " ", json_string_value(address));
	printf("%s\n", json_array_size(addresses) ? "" : " -");
}

static int print_table(const json_t *all, struct qbx_err *err)
{
	json_t *box, *network;
	size_t i, n;

	printf("%-16s %-24s %-8s %-16s %-10s %-6s %s\n", "NAMESPACE", "ID", "STATE", "NETWORK",
	       "INTERFACE", "TAP", "ADDRESSES");
	json_array_foreach ((json_t *)all, i, box) {
		json_t *networks = json_object_get(box, "networks");

		if (json_array_size(networks) == 0)
			print_network(box, NULL);
		json_array_foreach (networks, n, network)
			print_network(box, network);
	}
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int list(struct cli *cli, struct qbx_err *err)
{
	json_auto_t *all = json_array();
	struct listing l = { .cfg = &cli->cfg, .all = all };

	if (leases_each(&cli->cfg, add, &l, err) < 0)
		return -1;
	return net_opts.json ? cli_emit(all, err) : print_table(all, err);
}

const struct cli_verb verb_list = {
	.name = "list",
	.help = "print the networks of all boxes, as a table or, with -j, as an array of what "
		"status "
		"says",
	.run = list,
};
