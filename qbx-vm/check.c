/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - qbx-vm check: what this host can do, and what to do about what it cannot */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "verbs.h"
#include "vm.h"

#define COMMAND_OUTPUT_MAX (1u << 20)
#define COMMAND_MS 20000 /* a loaded machine takes a second to load QEMU */

static const struct check {
	const char *name;
	check_fn *look;
} checks[] = {
	{ "kvm", check_kvm },
	{ "vhost-vsock", check_vhost_vsock },
	{ "vhost-user", check_vhost_user },
	{ "vhost-net", check_vhost_net },
	{ "cgroup", check_cgroup },
	{ "run-dir", check_run_dir },
	{ "guest", check_guest },
	{ "qemu", check_qemu },
	{ "virtiofsd", check_virtiofsd },
	{ "cni", check_cni },
};

static const char *const states[] = {
	[FINDING_OK] = "ok",
	[FINDING_DEGRADED] = "degraded",
	[FINDING_MISSING] = "missing",
};

/* What came of all of them. */
struct tally {
	unsigned missing, denied; /* denied: of those, for want of permission */
	json_t *list;		  /* owned; NULL: print lines instead */
};

char *check_command(const char *const *argv, struct qbx_err *err)
{
	struct proc_spec spec = { .argv = argv, .netns = -1, .detach = 1, .die_with_us = 1 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };
	const char *last;

	if (proc_run(&spec, NULL, 0, COMMAND_OUTPUT_MAX, COMMAND_MS, &o, err) < 0)
		return NULL;
	if (o.status == 0)
		return take_ptr(o.out);
	err_clean(o.err); /* one line: what it said last counts, and that is at its end */
	last = strlen(o.err) > 200 ? o.err + strlen(o.err) - 200 : o.err;
	err_code(err, EX_UNAVAILABLE, "%s %s: exit status %d: %s", argv[0], argv[1], o.status,
		 last);
	return NULL;
}

static int report(struct tally *t, const char *name, enum finding state, const char *detail,
		  const char *hint, struct qbx_err *err)
{
	json_t *entry;

	if (!t->list) {
		printf("%-8s  %-11s  %s%s%s%s\n", states[state], name, detail, hint[0] ? " (" : "",
		       hint, hint[0] ? ")" : "");
		return 0;
	}
	entry = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "state", states[state], "detail",
			  detail, "hint", hint);
	return json_array_append_new(t->list, entry) < 0 ? err_sys(err, ENOMEM, "report %s", name)
							 : 0;
}

static int look(const struct check *c, const struct config *cfg, struct tally *t,
		struct qbx_err *err)
{
	struct qbx_err why = { 0 };
	char detail[CHECK_DETAIL_MAX] = "";
	enum finding state = c->look(cfg, detail, &why);
	char *text = state == FINDING_OK ? detail : why.msg;

	if (state == FINDING_MISSING) {
		t->missing++;
		t->denied += why.code == EX_NOPERM;
	}
	return report(t, c->name, state, err_clean(text), err_clean(why.hint), err);
}

static int look_at_all(const struct config *cfg, struct tally *t, struct qbx_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		if (look(&checks[i], cfg, t, err) < 0)
			return -1;
	return 0;
}

static int check(struct cli *cli, struct qbx_err *err)
{
	struct tally t = { .list = vm_options.json ? json_array() : NULL };
	json_auto_t *doc = NULL;

	if (look_at_all(&cli->cfg, &t, err) < 0) {
		json_decref(t.list);
		return -1;
	}
	if (t.list) {
		doc = json_pack("{s:b, s:o}", "usable", t.missing == 0, "checks", t.list);
		if (!doc)
			return err_sys(err, ENOMEM, "report");
		if (cli_emit(doc, err) < 0)
			return -1;
	} else if (fflush(stdout) || ferror(stdout)) {
		return err_sys(err, errno, "write standard output");
	}
	if (t.missing == 0)
		return 0;
	return t.denied == t.missing ? EX_NOPERM : EX_UNAVAILABLE;
}

const struct cli_verb verb_check = {
	.name = "check",
	.help = "tell what this host can do for boxes, and what to do about what it cannot",
	.run = check,
};
