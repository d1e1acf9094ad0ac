/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_cni.c - would a box get a network?
 *
 * That is qbx-net's business, so it is asked what it would do, and does nothing of it.
 */
#include <limits.h>
#include <string.h>

#include "check.h"
#include "json.h"
#include "vm.h"

#define QUESTION "{\"qbx\":1,\"namespace\":\"qbx-vm\",\"id\":\"check\"}"
#define ANSWER_MAX (1u << 20)
#define ANSWER_MS 20000

/* "# network NAME, CNI 1.0.0, of FILE; ..." is what add --dry-run says of a network it would join. */
static bool find_network(const char *plan, char *detail)
{
	const char *line = strstr(plan, "\n# network ");

	if (!line)
		return false;
	line += strlen("\n# network ");
	snprintf(detail, CHECK_DETAIL_MAX, "%.*s", (int)strcspn(line, ";\n"), line);
	return true;
}

/* The error object of --json-errors, the last line of @text, becomes ours. */
static int take_error(const char *text, int status, struct qbx_err *err)
{
	const char *last = strrchr(text, '{'), *message, *hint;
	struct qbx_err ignored = { 0 };
	json_auto_t *j = NULL;
	int code;

	/* {"error":{...}}: the outer brace is before the last one */
	while (last && last > text && last[-1] != '\n')
		last--;
	j = last ? json_parse(last, strlen(last), "qbx-net", &ignored) : NULL;
	if (!j || json_unpack(j, "{s:{s:i, s:s, s:s}}", "error", "code", &code, "message", &message,
			      "hint", &hint) < 0)
		return err_code(err, EX_UNAVAILABLE, "qbx-net add --dry-run: exit status %d",
				status);
	err_code(err, code, "%s", message);
	return err_hint(err, "%s", hint);
}

static enum finding ask(const char *qbx_net, const struct config *cfg, char *detail,
			struct qbx_err *err)
{
	const char *argv[] = { qbx_net, "add", "--dry-run", "--json-errors", NULL };
	struct proc_spec spec = { .argv = argv, .netns = -1, .detach = 1, .die_with_us = 1 };
	_cleanup_(proc_output_free) struct proc_output o = { 0 };

	if (proc_run(&spec, QUESTION, strlen(QUESTION), ANSWER_MAX, ANSWER_MS, &o, err) < 0)
		return FINDING_MISSING;
	if (o.status != 0) {
		take_error(o.err, o.status, err);
		return FINDING_MISSING;
	}
	if (find_network(o.out, detail))
		return FINDING_OK;
	err_code(err, EX_CONFIG, "boxes have no network: no CNI configuration in %s",
		 cfg->cni_conf_dir);
	err_hint(err, "put one there, as the manual of your CNI plugins has it");
	return FINDING_DEGRADED;
}

enum finding check_cni(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char qbx_net[PATH_MAX];
	enum finding finding;

	if (!plan_find_program(qbx_net, "qbx-net")) {
		err_code(err, EX_UNAVAILABLE, "qbx-net is not in PATH");
		err_hint(err, "install it; only boxes without a network run without it");
		return FINDING_MISSING;
	}
	finding = ask(qbx_net, cfg, detail, err);
	if (finding != FINDING_OK)
		return finding;
	return check_device("/dev/net/tun", "tun", err) == 0 ? FINDING_OK : FINDING_MISSING;
}
