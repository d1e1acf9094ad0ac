/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - the command line that all commands share */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "json.h"
#include "log.h"

#ifndef QBX_VERSION
#define QBX_VERSION "0.1.0"
#endif

#define EXIT_CONTAINER_FAILED 125 /* run and exec: the box failed, not the payload */

static const struct cli_opt common_opts[] = {
	{ "box", "FILE", "read the box document from FILE, not standard input",
	  offsetof(struct cli, box_path) },
	{ "dry-run", NULL, "print what would be done, do nothing", offsetof(struct cli, dry_run) },
	{ "json-errors", NULL, "report an error as a JSON object",
	  offsetof(struct cli, json_errors) },
	{ "debug", NULL, "say more on standard error", offsetof(struct cli, debug) },
	{ "help", NULL, "show this help", offsetof(struct cli, help) },
	{ "version", NULL, "show the version", offsetof(struct cli, version) },
	{ NULL, NULL, NULL, 0 },
};

static void help_opts(const struct cli_opt *opts)
{
	for (; opts && opts->name; opts++) {
		char left[40];

		snprintf(left, sizeof(left), "%s%s%s%s", opts->name[1] ? "--" : "-", opts->name,
			 opts->metavar ? " " : "", opts->metavar ? opts->metavar : "");
		printf("  %-20s %s\n", left, opts->help);
	}
}

static void help(const struct cli_program *p)
{
	printf("%s - %s\n\nusage:\n", p->name, p->purpose);
	for (const struct cli_verb *const *v = p->verbs; *v; v++)
		printf("  %s %s [OPTION]...%s%s\n      %s\n", p->name, (*v)->name,
		       (*v)->args ? " " : "", (*v)->args ? (*v)->args : "", (*v)->help);
	printf("\noptions:\n");
	help_opts(p->opts);
	help_opts(common_opts);
	printf("\nSee %s(8) and qbx-json(7).\n", p->name);
}

static const struct cli_opt *find_opt(const struct cli_opt *opts, const char *name, size_t len)
{
	for (; opts && opts->name; opts++)
		if (strlen(opts->name) == len && !memcmp(opts->name, name, len))
			return opts;
	return NULL;
}

/* Take the option at argv[*i], moving *i past its value. */
static int take_opt(struct cli *cli, int argc, char **argv, int *i, struct qbx_err *err)
{
	bool letter = argv[*i][1] != '-';
	const char *name = argv[*i] + (letter ? 1 : 2), *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct cli_opt *opt = find_opt(common_opts, name, len);
	char *base = (char *)cli;

	if (letter != (len == 1))
		return err_code(err, EX_USAGE, "unknown option %s", argv[*i]);
	if (!opt) {
		opt = find_opt(cli->program->opts, name, len);
		base = cli->program->values;
	}
	if (!opt)
		return err_code(err, EX_USAGE, "unknown option %s", argv[*i]);
	if (!opt->metavar) {
		if (eq)
			return err_code(err, EX_USAGE, "--%s takes no value", opt->name);
		*(bool *)(base + opt->offset) = true;
		return 0;
	}
	if (!eq && *i + 1 >= argc)
		return err_code(err, EX_USAGE, "--%s wants %s", opt->name, opt->metavar);
	*(const char **)(base + opt->offset) = eq ? eq + 1 : argv[++*i];
	return 0;
}

static int take_verb(struct cli *cli, const char *name, struct qbx_err *err)
{
	for (const struct cli_verb *const *v = cli->program->verbs; *v; v++) {
		if (strcmp((*v)->name, name))
			continue;
		cli->verb = *v;
		return 0;
	}
	return err_code(err, EX_USAGE, "unknown verb \"%s\"", name);
}

/* Options may stand before and after the verb; what follows "--" or the first argument is kept. */
static int parse(struct cli *cli, int argc, char **argv, struct qbx_err *err)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][0] == '-' && argv[i][1]) {
			if (take_opt(cli, argc, argv, &i, err) < 0)
				return -1;
		} else if (!cli->verb) {
			if (take_verb(cli, argv[i], err) < 0)
				return -1;
		} else {
			break;
		}
	}
	cli->args = argv + i;
	cli->nargs = argc - i;
	if (cli->help || cli->version)
		return 0;
	if (!cli->verb)
		return err_code(err, EX_USAGE, "a verb is wanted");
	if (cli->nargs > 0 && !cli->verb->args)
		return err_code(err, EX_USAGE, "%s takes no argument \"%s\"", cli->verb->name,
				cli->args[0]);
	return 0;
}

static int run(struct cli *cli, int argc, char **argv, struct qbx_err *err)
{
	int status;

	if (parse(cli, argc, argv, err) < 0)
		return err_hint(err, "try %s --help", cli->program->name);
	if (cli->help || cli->version) {
		if (cli->help)
			help(cli->program);
		else
			printf("%s %s\n", cli->program->name, QBX_VERSION);
		return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
	}
	if (config_load(&cli->cfg, err) < 0)
		return -1;
	log_open(cli->program->name,
		 cli->debug || cli->cfg.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, STDERR_FILENO);
	status = cli->verb->run(cli, err);
	config_free(&cli->cfg);
	return status;
}

/*
 * A standard descriptor that the caller closed must not become a socket of ours. Each gets the wrong access
 * mode, so that using it fails as if it were closed.
 */
static void open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

int cli_main(int argc, char **argv, const struct cli_program *program)
{
	struct cli cli = { .program = program };
	struct qbx_err err = { 0 };
	int status;

	open_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	status = run(&cli, argc, argv, &err);
	if (status >= 0)
		return status;
	snprintf(err.stage, sizeof(err.stage), "%s", program->name);
	err_print(&err, stderr, cli.json_errors);
	if (cli.verb && cli.verb->container && err.code != 126 && err.code != 127)
		return EXIT_CONTAINER_FAILED;
	return err.code;
}

int cli_read_box(const struct cli *cli, struct box *box, struct qbx_err *err)
{
	_cleanup_close_ int fd = -1;

	if (!cli->box_path)
		return box_read(box, STDIN_FILENO, "standard input", err);
	memset(box, 0, sizeof(*box));
	fd = open(cli->box_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "open %s", cli->box_path);
	return box_read(box, fd, cli->box_path, err);
}

int cli_emit(const json_t *j, struct qbx_err *err)
{
	return json_write_fd(STDOUT_FILENO, j, "standard output", err);
}
