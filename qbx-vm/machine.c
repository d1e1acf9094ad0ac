/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - what differs between QEMU's machines, and between KVM and TCG
 *
 * microvm: no firmware to speak of, no PCI and no ACPI. The devices are virtio-mmio and are named on
 * the kernel's command line. What it has it has from the start: processors that are not wanted yet
 * stay offline in the guest, and memory does not grow.
 *
 * q35: PCI and ACPI, so that processors can be plugged in, and memory that virtio-mem adds up to
 * memory_max_mib. The enumeration of both takes its time. Under TCG processors cannot be plugged in:
 * Linux counts those that are not there yet only when it sees a hypervisor that it knows.
 *
 * Every option here is one that QEMU 7.2, 10 and 11 know.
 */
#include <string.h>

#include "argv.h"
#include "vm.h"

#define MICROVM_SLOTS 8u /* virtio-mmio transports without ACPI */
#define Q35_SLOTS 24u	 /* of the 31 on its bus, some are the machine's own */

const char *machine_bus(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 ? "pci" : "device";
}

/* Console and vsock; on q35 also the balloon, virtio-mem and pvpanic. */
static unsigned own_slots(enum machine machine)
{
	return machine == MACHINE_Q35 ? 5 : 2;
}

unsigned machine_slots(enum machine machine)
{
	return (machine == MACHINE_Q35 ? Q35_SLOTS : MICROVM_SLOTS) - own_slots(machine);
}

bool machine_has_balloon(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 ||
	       spec->nlinks + spec->ndisks + (spec->nshares > 0) < machine_slots(spec->machine);
}

bool machine_plugs_vcpus(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 && spec->accel == ACCEL_KVM;
}

static bool grows(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 && spec->memory_max_mib > spec->memory_mib;
}

/*
 * Without ACPI there is no table to parse. Under TCG it must be off: with it, half of the boots hang
 * calibrating the TSC against the PIT; and without the RTC the kernel waits a second for one.
 * Under KVM the guest has kvmclock and the TSC deadline timer, and needs neither PIT nor PIC.
 */
static void add_microvm(struct argv *a, const struct vm_spec *spec)
{
	const char *clocks =
		spec->accel == ACCEL_KVM ? "pit=off,pic=off,rtc=off" : "pit=on,pic=on,rtc=on";

	argv_add(a,
		 "microvm,accel=%s,acpi=off,x-option-roms=off,%s,isa-serial=%s,memory-backend=mem",
		 accel_name(spec->accel), clocks, spec->debug ? "on" : "off");
}

/*
 * The rest of a PC is left out; the serial port comes with -serial. Linux needs little of the firmware,
 * and QEMU's qboot, which microvm starts with as well, takes less time over it than SeaBIOS.
 */
static void add_q35(struct argv *a, const struct vm_spec *spec)
{
	const char *clocks = spec->accel == ACCEL_KVM ? "pit=off,pic=off" : "pit=on,pic=on";

	argv_add(a,
		 "q35,accel=%s,acpi=on,%s,hpet=off,i8042=off,sata=off,smbus=off,smm=off,usb=off,"
		 "vmport=off,graphics=off,memory-backend=mem",
		 accel_name(spec->accel), clocks);
	argv_add(a, "-bios");
	argv_add(a, "qboot.rom");
}

static void add_processors(struct argv *a, const struct vm_spec *spec)
{
	unsigned present = machine_plugs_vcpus(spec) ? spec->vcpus : spec->vcpus_max;

	argv_add(a, "-cpu");
	argv_add(a, spec->accel == ACCEL_KVM ? "host" : "max");
	argv_add(a, "-smp");
	argv_add(a, "cpus=%u,maxcpus=%u,sockets=1,cores=%u,threads=1", present, spec->vcpus_max,
		 spec->vcpus_max);
}

/* A vhost-user device reads the guest's memory from another process. */
static void add_memory(struct argv *a, const struct vm_spec *spec)
{
	bool shared = spec->vhost_user || spec->nshares > 0;
	const char *backend = shared ? "memfd,share=on" : "ram";

	argv_add(a, "-m");
	if (grows(spec))
		argv_add(a, "size=%uM,maxmem=%uM", spec->memory_mib, spec->memory_max_mib);
	else
		argv_add(a, "size=%uM", spec->memory_mib);
	argv_add(a, "-object");
	argv_add(a, "memory-backend-%s,id=mem,size=%uM", backend, spec->memory_mib);
	if (!grows(spec))
		return;
	argv_add(a, "-object");
	/* For private memory QEMU would look at the host's policy in /proc, which it cannot see. */
	argv_add(a, "memory-backend-%s,id=more,size=%uM%s", backend,
		 spec->memory_max_mib - spec->memory_mib, shared ? ",reserve=off" : "");
}

void machine_argv(struct argv *a, const struct vm_spec *spec)
{
	argv_add(a, "-machine");
	if (spec->machine == MACHINE_Q35)
		add_q35(a, spec);
	else
		add_microvm(a, spec);
	add_processors(a, spec);
	add_memory(a, spec);
}

void machine_devices(struct argv *a, const struct vm_spec *spec)
{
	if (machine_has_balloon(spec)) {
		argv_add(a, "-device");
		argv_add(a,
			 "virtio-balloon-%s,id=" VM_ID_BALLOON
			 ",free-page-reporting=on,deflate-on-oom=on",
			 machine_bus(spec));
	}
	if (grows(spec)) {
		argv_add(a, "-device");
		argv_add(a, "virtio-mem-pci,id=" VM_ID_MEMORY ",memdev=more,requested-size=0");
	}
	if (spec->machine == MACHINE_Q35) {
		argv_add(a, "-device");
		argv_add(a, "pvpanic-pci");
	}
}

void machine_cmdline(const struct vm_spec *spec, char *buf, size_t size)
{
	char online[24] = "";

	if (!machine_plugs_vcpus(spec) && spec->vcpus < spec->vcpus_max)
		snprintf(online, sizeof(online), " maxcpus=%u", spec->vcpus);
	snprintf(buf, size, "%s%s%s", spec->machine == MACHINE_MICROVM ? " acpi=off" : "", online,
		 grows(spec) ? " memhp_default_state=online_movable" : "");
}
