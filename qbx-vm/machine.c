/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - what differs between QEMU's machines, and between KVM and TCG
 *
 * microvm: no firmware to speak of, no PCI and no ACPI. The devices are virtio-mmio and are named on
 * the kernel's command line. What it has it has from the start: processors that are not wanted yet
 * stay offline in the guest, and memory does not grow. It has transports for eight devices. For more it
 * needs a second IOAPIC, which QEMU gives it with ACPI only, and the devices are named there then.
 *
 * q35: PCI and ACPI, so that processors can be plugged in, and memory that virtio-mem adds up to
 * memory_max_mib. The enumeration of both takes its time. Under TCG processors cannot be plugged in:
 * Linux counts those that are not there yet only when it sees a hypervisor that it knows. Its bus has 30
 * slots for devices, and each of them room for eight: disks beyond the first few share some.
 *
 * Every option here is one that QEMU 7.2, 10 and 11 know.
 */
#include <assert.h>
#include <string.h>

#include "argv.h"
#include "vm.h"

#define MICROVM_OWN 3u	       /* console, vsock and balloon */
#define MICROVM_SLOTS 8u       /* virtio-mmio transports, of the interrupts that are left of 16 */
#define MICROVM_WIDE_SLOTS 24u /* with a second IOAPIC: all of its interrupts */
#define Q35_ALONE 8u	       /* disks with a slot of their own */
#define Q35_SHARED 0x13u /* the first slot for the others: 18 devices before, 12 slots up to 0x1e */
#define Q35_FUNCTIONS 8u

static_assert(VM_DISKS_MAX <= Q35_ALONE + (0x1f - Q35_SHARED) * Q35_FUNCTIONS, "no slots for them");

const char *machine_bus(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 ? "pci" : "device";
}

unsigned machine_slots(enum machine machine)
{
	if (machine == MACHINE_Q35)
		return VM_LINKS_MAX + VM_DISKS_MAX + 1;
	return MICROVM_WIDE_SLOTS - MICROVM_OWN;
}

static bool wide(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_MICROVM &&
	       MICROVM_OWN + spec->nlinks + spec->ndisks + (spec->nshares > 0) > MICROVM_SLOTS;
}

/* Disks that share a slot make do with one queue, as each takes two descriptors of QEMU. */
void machine_disk_place(const struct vm_spec *spec, size_t disk, char *buf, size_t size)
{
	size_t n = disk - Q35_ALONE;

	buf[0] = '\0';
	if (spec->machine == MACHINE_Q35 && disk >= Q35_ALONE)
		snprintf(buf, size, ",addr=0x%zx.%zu,multifunction=on,num-queues=1",
			 Q35_SHARED + n / Q35_FUNCTIONS, n % Q35_FUNCTIONS);
}

bool machine_plugs_vcpus(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 && spec->accel == ACCEL_KVM;
}

static bool grows(const struct vm_spec *spec)
{
	return spec->machine == MACHINE_Q35 && spec->memory_max_mib > spec->memory_mib;
}

static void add_qboot(struct argv *a)
{
	argv_add(a, "-bios");
	argv_add(a, "qboot.rom");
}

/*
 * Without ACPI there is no table to parse. With it, QEMU would start SeaBIOS, and the one that QEMU 10
 * and 11 have hangs under TCG; qboot passes the tables on as well. Without the RTC an emulated kernel
 * waits a second for one.
 * Under KVM the guest has kvmclock and the TSC deadline timer, and needs neither PIT nor PIC.
 */
static void add_microvm(struct argv *a, const struct vm_spec *spec)
{
	const char *clocks =
		spec->accel == ACCEL_KVM ? "pit=off,pic=off,rtc=off" : "pit=on,pic=on,rtc=on";

	argv_add(a, "microvm,accel=%s,%s,x-option-roms=off,%s,isa-serial=%s,memory-backend=mem",
		 accel_name(spec->accel), wide(spec) ? "acpi=on,ioapic2=on" : "acpi=off", clocks,
		 spec->debug ? "on" : "off");
	if (wide(spec))
		add_qboot(a);
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
	add_qboot(a);
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
	argv_add(a, "-device");
	argv_add(a,
		 "virtio-balloon-%s,id=" VM_ID_BALLOON ",free-page-reporting=on,deflate-on-oom=on",
		 machine_bus(spec));
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
	bool acpi = spec->machine == MACHINE_Q35 || wide(spec);
	char online[24] = "";

	if (!machine_plugs_vcpus(spec) && spec->vcpus < spec->vcpus_max)
		snprintf(online, sizeof(online), " maxcpus=%u", spec->vcpus);
	snprintf(buf, size, "%s%s%s", acpi ? "" : " acpi=off", online,
		 grows(spec) ? " memhp_default_state=online_movable" : "");
}
