/* SPDX-License-Identifier: Apache-2.0 */
/* dryrun.c - what would be done, in the words of a shell */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vm.h"

static void print_word(FILE *out, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-_./:,=+@%";

	if (word[0] && strspn(word, plain) == strlen(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	fputc('\'', out);
}

/* What setpriv(1) can do of confine.h. */
static void print_user(FILE *out, const struct vm_spec *spec)
{
	fputs("setpriv --clear-groups --no-new-privs --inh-caps=-all --ambient-caps=-all "
	      "--bounding-set=-all ",
	      out);
	if (!(spec->relaxed & CONFINE_UID))
		fputs("--reuid=$uid --regid=$uid ", out);
	fputs("-- ", out);
}

static void print_command(FILE *out, const struct vm_spec *spec, const char *netns,
			  const char *const *argv)
{
	if (netns) {
		fputs("nsenter --net=", out);
		print_word(out, netns);
		fputs(" -- ", out);
	}
	if (!(spec->relaxed & CONFINE_MOUNTS))
		fputs("unshare --mount -- ", out);
	print_user(out, spec);
	for (const char *const *word = argv; *word; word++) {
		fputs(word == argv ? "" : " ", out);
		print_word(out, *word);
	}
	fputc('\n', out);
}

static void print_root(const struct vm_spec *spec, const char *what)
{
	if (!(spec->relaxed & CONFINE_MOUNTS))
		printf("# in a root directory with nothing but what it loads, /dev/null, "
		       "/dev/urandom%s\n",
		       what);
}

static void print_limit(const char *name, const char *fmt, ...) _printf_(2, 3);
static void print_limit(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("echo ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" > \"$cgroup\"/%s\n", name);
}

static void print_cgroup(const struct vm_spec *spec)
{
	struct cgroup_limits l = hold_limits(spec);

	if (!spec->cgroup[0])
		return;
	printf("cgroup=" CGROUP_MOUNT "/");
	print_word(stdout, spec->cgroup);
	printf("\nmkdir -p \"$cgroup\"\n");
	print_limit("memory.max", "%" PRIu64, l.memory);
	print_limit("memory.oom.group", "1");
	print_limit("pids.max", "%u", l.pids);
	print_limit("cgroup.procs", "$$");
}

static void print_quota(const struct vm_spec *spec)
{
	if (!spec->cgroup[0] || !spec->cpu_quota_us)
		return;
	printf("# when its guest is ready:\n");
	print_limit("cpu.max", "'%" PRIu64 " %" PRIu64 "'", spec->cpu_quota_us,
		    spec->cpu_period_us);
}

static void print_daemon(const struct vm_spec *spec)
{
	printf("install -d -m 700 %s" VM_DIR_VSOCK "\n",
	       spec->relaxed & CONFINE_UID ? "" : "-o $uid -g $uid ");
	print_root(spec, ", " VM_DIR_VSOCK "/");
	printf("cd " VM_DIR_VSOCK "\n");
	print_command(stdout, spec, NULL, vsock_argv());
	printf("cd ..\n");
}

static void print_share(const struct vm_spec *spec)
{
	printf("# as root, in a root directory with nothing but what it loads, /proc,");
	for (size_t i = 0; i < spec->nshares; i++) {
		const struct volume *v = &spec->shares[i];

		printf(" /%s (%s%s)", v->path, v->source, v->readonly ? ", read-only" : "");
	}
	putchar('\n');
	for (const char *const *word = virtiofsd_argv(spec); *word; word++) {
		print_word(stdout, *word);
		putchar(word[1] ? ' ' : '\n');
	}
}

int plan_print(const struct vm_spec *spec, const struct config *cfg, struct qbx_err *err)
{
	char **argv = vm_argv(spec);

	if (!argv)
		return err_sys(err, ENOMEM, "make QEMU's command line");
	if (!(spec->relaxed & CONFINE_UID))
		printf("uid=%u # or the first after it that is free\n", cfg->uid_first);
	printf("mkdir -p -m 700 ");
	print_word(stdout, spec->dir);
	printf("\ncd ");
	print_word(stdout, spec->dir);
	putchar('\n');
	print_cgroup(spec);
	if (spec->vhost_user)
		print_daemon(spec);
	if (spec->nshares > 0)
		print_share(spec);
	print_root(spec, spec->accel == ACCEL_KVM ? ", /dev/kvm, its kernel and initrd"
						  : ", its kernel and initrd");
	print_command(stdout, spec, spec->netns, (const char *const *)argv);
	print_quota(spec);
	strv_free(argv);
	return fflush(stdout) ? err_sys(err, errno, "write standard output") : 0;
}
