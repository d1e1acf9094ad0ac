/* SPDX-License-Identifier: Apache-2.0 */
/* accel.c - hardware virtualisation, or QEMU's emulation where it was asked for */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "io.h"
#include "log.h"
#include "vm.h"

#define CPUINFO_MAX (4u << 20) /* bytes; a kilobyte or two a CPU */
#define TCG_HINT "QEMUBOX_ACCEL=tcg emulates instead, for development: it is no security boundary"

const char *accel_name(enum accel accel)
{
	return accel == ACCEL_KVM ? "kvm" : "tcg";
}

/* Is @word among the space-separated words from @p to the end of the line? */
static bool line_has(const char *p, const char *word)
{
	size_t len = strlen(word);

	for (const char *end = p + strcspn(p, "\n"); p < end; p += strcspn(p, " \t\n")) {
		p += strspn(p, " \t");
		if (strcspn(p, " \t\n") == len && !memcmp(p, word, len))
			return true;
	}
	return false;
}

bool accel_cpu_virtualises(const char *cpuinfo)
{
	const char *flags = strstr(cpuinfo, "\nflags");

	flags = flags ? strchr(flags, ':') : NULL;
	return flags && (line_has(flags + 1, "vmx") || line_has(flags + 1, "svm"));
}

static int kvm_usable(struct qbx_err *err)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *cpuinfo = NULL;
	size_t len;

	if (fd < 0) {
		err_sys(err, errno, "open /dev/kvm");
		return err_hint(err, TCG_HINT);
	}
	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &cpuinfo, &len, err) < 0)
		return -1;
	if (accel_cpu_virtualises(cpuinfo))
		return 0;
	err_code(err, EX_UNAVAILABLE, "KVM cannot be used: this CPU shows neither vmx nor svm");
	return err_hint(err, TCG_HINT);
}

int accel_choose(const char *wanted, enum accel *accel, struct qbx_err *err)
{
	*accel = ACCEL_TCG;
	if (!strcmp(wanted, "tcg"))
		return 0;
	if (strcmp(wanted, "kvm") && strcmp(wanted, "auto"))
		return err_code(err, EX_DATAERR, "accel: \"%s\" is none of kvm, tcg, auto", wanted);
	if (kvm_usable(err) == 0) {
		*accel = ACCEL_KVM;
		return 0;
	}
	if (!strcmp(wanted, "kvm"))
		return -1;
	log_warn("%s: emulating the guest, which is no security boundary", err->msg);
	err_forget(err);
	return 0;
}
