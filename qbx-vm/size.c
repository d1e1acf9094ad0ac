/* SPDX-License-Identifier: Apache-2.0 */
/* size.c - qbx-vm size: how large a VM a box gets, and why */
#include "size.h"

#include <errno.h>

#include "verbs.h"
#include "vm.h"

static json_t *size_object(const struct size *s)
{
	json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:I}", "machine", machine_name(s->machine),
			      "vcpus", (json_int_t)s->vcpus, "vcpus_max", (json_int_t)s->vcpus_max,
			      "memory_mib", (json_int_t)s->memory_mib, "memory_max_mib",
			      (json_int_t)s->memory_max_mib);

	if (!s->cpu_quota_us)
		return j;
	json_object_set_new(j, "cpu_quota_us", json_integer((json_int_t)s->cpu_quota_us));
	json_object_set_new(j, "cpu_period_us", json_integer((json_int_t)s->cpu_period_us));
	return j;
}

static int print_size(struct cli *cli, struct qbx_err *err)
{
	_cleanup_(box_free) struct box box = { 0 };
	struct size size = { 0 };
	struct limits limits;
	json_auto_t *j = NULL;

	if (cli_read_box(cli, &box, err) < 0 || limits_make(&limits, &cli->cfg, &box, err) < 0 ||
	    size_make(&limits, &size, vm_options.explain ? stdout : NULL, err) < 0)
		return -1;
	if (vm_options.explain)
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	j = size_object(&size);
	return cli_emit(j, err);
}

const struct cli_verb verb_size = {
	.name = "size",
	.help = "print how large the box's VM is to be",
	.run = print_size,
};
