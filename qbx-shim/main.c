/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - containerd-shim-qemubox-v1: containerd's way to the other commands */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "box.h"
#include "shim.h"

static const struct {
	const char *name;
	int (*run)(const struct flags *f, struct qbx_err *err);
} actions[] = {
	{ "start", start_main },
	{ "delete", delete_main },
	{ "serve", serve_main },
};

static int run(int argc, char **argv, struct qbx_err *err)
{
	struct flags f;

	if (flags_parse(&f, argc, argv, err) < 0)
		return -1;
	if (f.version)
		return printf("%s %s\n", SHIM_NAME, QBX_VERSION) < 0 ? err_sys(err, errno, "write")
								     : 0;
	if (f.info)
		return info_main(err);
	if (!f.id || !f.namespace || !box_name_ok(f.id) || !box_name_ok(f.namespace))
		return err_code(err, EX_USAGE,
				"-id and -namespace must be letters and digits joined "
				"by single '.', '_' or '-', at most %d",
				BOX_NAME_MAX);
	for (size_t i = 0; f.action && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(actions[i].name, f.action))
			return actions[i].run(&f, err);
	return err_code(err, EX_USAGE, "the action must be start or delete, not \"%s\"",
			f.action ? f.action : "");
}

int main(int argc, char **argv)
{
	struct qbx_err err = { .stage = "qbx-shim" };
	char text[ERR_TEXT_MAX];

	signal(SIGPIPE, SIG_IGN);
	close_range(3, ~0U,
		    0); /* what somebody left open must not stay so for a container's life */
	if (run(argc, argv, &err) == 0)
		return 0;
	/* containerd goes on in the same line with the exit status. */
	fprintf(stderr, isatty(STDERR_FILENO) ? "%s\n" : "%s", err_text(&err, text));
	return err.code;
}
