/* SPDX-License-Identifier: Apache-2.0 */
/* list.c - qbx-vm list: every box of this host */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "verbs.h"
#include "vm.h"

#define ASK_MS 500u /* for each: one that is stuck must not hide the others for long */

/* The box that a directory is named after. Return: 0, or -1 if it is no such name. */
static int box_of(const char *key, struct box *box)
{
	const char *dashes = strstr(key, "--");
	struct qbx_err ignored = { 0 };
	json_t *doc;

	if (!dashes)
		return -1;
	doc = json_pack("{s:i, s:s%, s:s}", "qbx", 1, "namespace", key, (size_t)(dashes - key),
			"id", dashes + 2);
	return doc ? box_take(box, doc, key, &ignored) : -1;
}

static int add(const struct cli *cli, const char *key, json_t *all, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	json_t *report;

	if (box_of(key, &box) < 0)
		return 0;
	report = status_report(&cli->cfg, &box, ASK_MS, err);
	return report ? json_array_append_new(all, report) : -1;
}

static int collect(const struct cli *cli, json_t *all, struct qbx_err *err)
{
	struct dirent **names;
	int n = scandir(cli->cfg.run_dir, &names, NULL, alphasort), ret = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "list %s", cli->cfg.run_dir);
	for (int i = 0; i < n; i++) {
		if (ret == 0)
			ret = add(cli, names[i]->d_name, all, err);
		free(names[i]);
	}
	free(names);
	return ret;
}

static int print_table(json_t *all, struct qbx_err *err)
{
	json_t *box;
	size_t i;

	printf("%-16s %-24s %-8s %8s %8s %6s %8s\n", "NAMESPACE", "ID", "STATE", "PID", "UP(S)",
	       "VCPUS", "MIB");
	json_array_foreach (all, i, box) {
		const char *id, *namespace, *state;
		json_int_t pid = 0, up = 0, vcpus = 0, mib = 0;

		json_unpack(box, "{s:s, s:s, s:s, s?I, s?I, s?I, s?I}", "id", &id, "namespace",
			    &namespace, "state", &state, "pid", &pid, "up_s", &up, "vcpus", &vcpus,
			    "memory_mib", &mib);
		printf("%-16s %-24s %-8s %8lld %8lld %6lld %8lld\n", namespace, id, state, pid, up,
		       vcpus, mib);
	}
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}

static int list(struct cli *cli, struct qbx_err *err)
{
	json_auto_t *all = json_array();

	if (!all)
		return err_sys(err, ENOMEM, "list");
	if (collect(cli, all, err) < 0)
		return -1;
	return vm_options.json ? cli_emit(all, err) : print_table(all, err);
}

const struct cli_verb verb_list = {
	.name = "list",
	.help = "print all boxes of this host, as a table or, with -j, as an array of what status "
		"says",
	.run = list,
};
