/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_qemu.c - is QEMU there, new enough, and has it what its command line will name?
 *
 * What it will name is read off the command line itself, so that this cannot fall behind argv.c.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "check.h"
#include "vm.h"

#define OLDEST_MAJOR 7
#define OLDEST_MINOR 2

/* "QEMU emulator version 7.2.22 (Debian ...)", the first line of --version. */
static bool parse_version(const char *text, int *major, int *minor)
{
	return sscanf(text, "QEMU emulator version %d.%d", major, minor) == 2;
}

/* -device help: one line a device, name "NAME", bus ... */
static bool lists_device(const char *help, const char *name)
{
	char quoted[96];

	return snprintf(quoted, sizeof(quoted), "name \"%s\"", name) < (int)sizeof(quoted) &&
	       strstr(help, quoted);
}

/* -machine help, -accel help: one line each, the name first. */
static bool lists_first(const char *help, const char *name)
{
	for (const char *line = help; *line; line += strspn(line, "\n")) {
		if (strcspn(line, " \n") == strlen(name) && !strncmp(line, name, strlen(name)))
			return true;
		line += strcspn(line, "\n");
	}
	return false;
}

static int check_version(const char *qemu, char *detail, struct qbx_err *err)
{
	const char *argv[] = { qemu, "--version", NULL };
	_cleanup_free_ char *text = check_command(argv, err);
	int major, minor;

	if (!text)
		return -1;
	if (!parse_version(text, &major, &minor))
		return err_code(err, EX_UNAVAILABLE, "%s --version says \"%.80s\"", qemu, text);
	if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		return err_code(err, EX_UNAVAILABLE, "%s is of version %d.%d, older than %d.%d",
				qemu, major, minor, OLDEST_MAJOR, OLDEST_MINOR);
	snprintf(detail, CHECK_DETAIL_MAX, "%d.%d at %.400s", major, minor, qemu);
	return 0;
}

/* Every value of @option on QEMU's command line, up to its first comma, is one that QEMU lists. */
static int check_option(const char *const *words, const char *option,
			bool (*lists)(const char *help, const char *name), struct qbx_err *err)
{
	const char *argv[] = { words[0], "-nodefaults", option, "help", NULL };
	_cleanup_free_ char *help = check_command(argv, err);

	if (!help)
		return -1;
	for (size_t i = 1; words[i] && words[i + 1]; i++) {
		char name[64];

		if (strcmp(words[i], option) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(words[i + 1], ","), words[i + 1]);
		if (!lists(help, name))
			return err_code(err, EX_UNAVAILABLE, "%s has no %s %s", words[0],
					option + 1, name);
	}
	return 0;
}

static int check_accel(const struct config *cfg, const char *qemu, struct qbx_err *err)
{
	const char *argv[] = { qemu, "-accel", "help", NULL };
	_cleanup_free_ char *help = NULL;

	if (!strcmp(cfg->accel, "auto"))
		return 0;
	help = check_command(argv, err);
	if (!help)
		return -1;
	if (lists_first(help, cfg->accel))
		return 0;
	return err_code(err, EX_UNAVAILABLE, "%s has no accelerator %s", qemu, cfg->accel);
}

/*
 * The command line of a box with an interface, a disk and room to grow, so that every kind of device
 * is there. Return: for strv_free(), or NULL with @err.
 */
static char **example(const struct config *cfg, const char *qemu, struct qbx_err *err)
{
	_cleanup_free_ struct vm_spec *spec = calloc(1, sizeof(*spec));
	char **words;

	if (!spec) {
		err_sys(err, ENOMEM, "make QEMU's command line");
		return NULL;
	}
	if (vsock_by_vhost_user(cfg, &spec->vhost_user, err) < 0)
		err_forget(err); /* another check says so */
	if (machine_choose(cfg->machine, &spec->machine, err) < 0)
		return NULL;
	spec->accel = strcmp(cfg->accel, "kvm") ? ACCEL_TCG : ACCEL_KVM;
	spec->vcpus = spec->vcpus_max = 1;
	spec->memory_mib = cfg->memory_mib;
	spec->memory_max_mib = 2 * cfg->memory_mib;
	snprintf(spec->qemu, sizeof(spec->qemu), "%s", qemu);
	spec->nlinks = spec->ndisks = 1;
	spec->links[0] = (struct vm_link){ .tap = "tap0", .mac = "02:00:00:00:00:01" };
	spec->disks[0] = (struct vm_disk){ .serial = "disk", .path = "/", .readonly = true };
	words = vm_argv(spec);
	if (!words)
		err_sys(err, ENOMEM, "make QEMU's command line");
	return words;
}

static int check_parts(const struct config *cfg, const char *qemu, struct qbx_err *err)
{
	char **words = example(cfg, qemu, err);
	int rc = -1;

	if (words && check_option((const char *const *)words, "-machine", lists_first, err) == 0 &&
	    check_option((const char *const *)words, "-device", lists_device, err) == 0)
		rc = 0;
	strv_free(words);
	return rc;
}

enum finding check_qemu(const struct config *cfg, char *detail, struct qbx_err *err)
{
	char qemu[PATH_MAX];

	if (plan_find_qemu(qemu, cfg, err) < 0)
		return FINDING_MISSING;
	if (check_version(qemu, detail, err) == 0 && check_accel(cfg, qemu, err) == 0 &&
	    check_parts(cfg, qemu, err) == 0)
		return FINDING_OK;
	err_hint(err,
		 "install QEMU %d.%d or later with its system emulator for x86_64, or name "
		 "another in QEMUBOX_QEMU_PATH",
		 OLDEST_MAJOR, OLDEST_MINOR);
	return FINDING_MISSING;
}
