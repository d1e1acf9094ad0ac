/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_kvm.c - can KVM be used?
 *
 * A guest of one instruction is run: that tells a /dev/kvm that works from one that is merely there.
 * It does not tell it from one of a hypervisor that runs only kernels built for it, where a stock
 * kernel fails later, setting up its FPU; there the CPU shows neither vmx nor svm. So both count.
 * Source of the interface: Documentation/virt/kvm/api.rst of Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "check.h"
#include "io.h"
#include "vm.h"

#define CPUINFO_MAX (4u << 20) /* bytes; a kilobyte or two a CPU */
#define CODE_ADDRESS 0x1000u   /* of the guest's only page */
#define CODE_HLT 0xf4
#define RFLAGS_RESERVED 2u /* bit 1 is always set */
#define RUN_SECONDS 2

#define FIRMWARE_HINT                                                                     \
	"switch virtualisation on in the firmware; in a virtual machine, nesting on its " \
	"host. QEMUBOX_ACCEL=tcg emulates, which is no security boundary"

/* A machine of one CPU and one page. */
struct tiny {
	int kvm, vm, vcpu;
	void *page;
	struct kvm_run *run;
	size_t run_size;
};

static void tiny_free(struct tiny *t)
{
	if (t->run != MAP_FAILED)
		munmap(t->run, t->run_size);
	cleanup_closep(&t->vcpu);
	cleanup_closep(&t->vm);
	if (t->page != MAP_FAILED)
		munmap(t->page, (size_t)sysconf(_SC_PAGESIZE));
	cleanup_closep(&t->kvm);
}

static int tiny_make_vm(struct tiny *t, struct qbx_err *err)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct kvm_userspace_memory_region memory = { .guest_phys_addr = CODE_ADDRESS,
						      .memory_size = size };

	t->vm = ioctl(t->kvm, KVM_CREATE_VM, 0);
	if (t->vm < 0) {
		err_sys(err, errno, "KVM: make a VM");
		return err_hint(err, "EBUSY: another hypervisor has the CPU; else see dmesg");
	}
	t->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->page == MAP_FAILED)
		return err_sys(err, errno, "KVM: memory for a VM");
	memset(t->page, CODE_HLT, size);
	memory.userspace_addr = (uintptr_t)t->page;
	if (ioctl(t->vm, KVM_SET_USER_MEMORY_REGION, &memory) < 0)
		return err_sys(err, errno, "KVM: give a VM memory");
	return 0;
}

static int tiny_make_vcpu(struct tiny *t, struct qbx_err *err)
{
	struct kvm_regs regs = { .rip = CODE_ADDRESS, .rflags = RFLAGS_RESERVED };
	struct kvm_sregs sregs;
	int size = ioctl(t->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	t->vcpu = ioctl(t->vm, KVM_CREATE_VCPU, 0);
	if (t->vcpu < 0 || size < (int)sizeof(*t->run))
		return err_sys(err, errno, "KVM: make a virtual CPU");
	t->run_size = (size_t)size;
	t->run = mmap(NULL, t->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->vcpu, 0);
	if (t->run == MAP_FAILED)
		return err_sys(err, errno, "KVM: map a virtual CPU");
	if (ioctl(t->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, errno, "KVM: read registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(t->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(t->vcpu, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, errno, "KVM: set registers");
	return 0;
}

static void interrupt(int sig)
{
	(void)sig;
}

/* A signal is what makes KVM_RUN come back from a guest that does not. */
static int tiny_run(struct tiny *t, struct qbx_err *err)
{
	struct sigaction sa = { .sa_handler = interrupt };
	int rc;

	sigaction(SIGALRM, &sa, NULL);
	alarm(RUN_SECONDS);
	rc = ioctl(t->vcpu, KVM_RUN, 0);
	alarm(0);
	if (rc < 0)
		return err_sys(err, errno == EINTR ? ETIMEDOUT : errno, "KVM: run an instruction");
	if (t->run->exit_reason != KVM_EXIT_HLT)
		return err_code(err, EX_UNAVAILABLE,
				"KVM: a guest of one instruction ended with %u",
				t->run->exit_reason);
	return 0;
}

static int probe(struct qbx_err *err)
{
	_cleanup_(tiny_free) struct tiny t = {
		.kvm = -1, .vm = -1, .vcpu = -1, .page = MAP_FAILED, .run = MAP_FAILED
	};
	int version;

	t.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (t.kvm < 0) {
		int sys = errno;

		err_sys(err, sys, "open /dev/kvm");
		return sys == EACCES ? err_hint(err, "as root, or as a member of its group")
				     : err_hint(err, "modprobe kvm_intel, or kvm_amd");
	}
	version = ioctl(t.kvm, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return err_code(err, EX_UNAVAILABLE, "KVM: API version %d, not %d", version,
				KVM_API_VERSION);
	if (tiny_make_vm(&t, err) < 0 || tiny_make_vcpu(&t, err) < 0)
		return -1;
	return tiny_run(&t, err);
}

static int cpu_flags(struct qbx_err *err)
{
	_cleanup_free_ char *cpuinfo = NULL;
	size_t len;

	if (io_read_file(AT_FDCWD, "/proc/cpuinfo", CPUINFO_MAX, &cpuinfo, &len, err) < 0)
		return -1;
	if (accel_cpu_virtualises(cpuinfo))
		return 0;
	err_code(err, EX_UNAVAILABLE, "this CPU shows neither vmx nor svm");
	return err_hint(err, FIRMWARE_HINT);
}

enum finding check_kvm(const struct config *cfg, char *detail, struct qbx_err *err)
{
	if (cpu_flags(err) < 0 || probe(err) < 0) {
		if (!strcmp(cfg->accel, "kvm"))
			return FINDING_MISSING;
		err_wrap(err, "boxes are emulated, as accel is \"%s\"", cfg->accel);
		return FINDING_DEGRADED;
	}
	if (!strcmp(cfg->accel, "tcg")) {
		err_code(err, 0, "usable, but accel is \"tcg\", which is no security boundary");
		err_hint(err, "accel \"kvm\" uses it, see qemubox.conf(5)");
		return FINDING_DEGRADED;
	}
	snprintf(detail, CHECK_DETAIL_MAX, "ran a guest");
	return FINDING_OK;
}
