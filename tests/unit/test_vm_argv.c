/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line, from plans made here and from documents */
#include "unit.h"

#include <string.h>

#include "qbx-vm/argv.c"
#include "qbx-vm/hello.c"
#include "qbx-vm/machine.c"
#include "qbx-vm/plan.c"
#include "qbx-vm/spec.c"
#include "qbx-vm/vmdk.c"

/* What plan.c would ask the machine for. */
int accel_choose(const char *wanted, enum accel *accel, struct qbx_err *err)
{
	(void)err;
	*accel = strcmp(wanted, "kvm") ? ACCEL_TCG : ACCEL_KVM;
	return 0;
}

const char *accel_name(enum accel accel)
{
	return accel == ACCEL_KVM ? "kvm" : "tcg";
}

int vsock_by_vhost_user(const struct config *cfg, bool *vhost_user, struct qbx_err *err)
{
	(void)cfg;
	(void)err;
	*vhost_user = true;
	return 0;
}

static struct vm_spec plan(void)
{
	struct vm_spec s = {
		.accel = ACCEL_TCG,
		.vcpus = 1,
		.vcpus_max = 1,
		.memory_mib = 512,
		.memory_max_mib = 512,
		.qemu = "/usr/bin/qemu",
		.kernel = "/k",
		.initrd = "/i",
		.vhost_user = true,
		.hello_port = 1023,
	};

	return s;
}

/* All words in one string, each with a space before and behind it. */
static char *joined(const struct vm_spec *s)
{
	char **argv = vm_argv(s), *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(argv);
	for (char **a = argv; *a; a++)
		fprintf(f, " %s", *a);
	fputc(' ', f);
	fclose(f);
	strv_free(argv);
	return text;
}

static void has(const struct vm_spec *s, const char *part, bool wanted)
{
	_cleanup_free_ char *text = joined(s);

	if (!!strstr(text, part) != wanted)
		fail_msg("%s \"%s\" in:%s", wanted ? "no" : "unwanted", part, text);
}

static void every_vm_is_confined(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	has(&s, " -nodefaults -no-user-config -no-reboot -display none ", true);
	has(&s,
	    " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny ",
	    true);
	has(&s, "isa-serial=off", true);
	has(&s, " -serial ", false);
}

static void tcg_and_kvm_get_machines_that_boot_there(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	has(&s, " microvm,accel=tcg,acpi=off,", true);
	has(&s, ",pit=on,pic=on,", true);
	has(&s, "tsc_early_khz", false); /* not known */
	s.tsc_khz = 2400000;
	has(&s, " tsc_early_khz=2400000 ", true);
	s.accel = ACCEL_KVM;
	has(&s, "tsc_early_khz", false);
	has(&s, " microvm,accel=kvm,acpi=off,", true);
	has(&s, " -cpu host ", true);
	has(&s, " no_timer_check tsc=reliable loglevel=4 qbx.port=1023 acpi=off ", true);
	s.machine = MACHINE_Q35;
	has(&s, " q35,accel=kvm,acpi=on,", true);
	has(&s, " qbx.port=1023 ", true);
	has(&s, ",pit=off,", true);
	s.accel = ACCEL_TCG;
	has(&s, " q35,accel=tcg,acpi=on,", true);
	has(&s, ",pit=on,", true);
}

static void every_device_is_of_the_machine_s_bus(void **state)
{
	static const char *const devices[] = {
		"virtio-serial", "vhost-user-vsock", "virtio-net", "virtio-blk", "virtio-balloon",
	};
	struct vm_spec s = plan();

	(void)state;
	s.nlinks = s.ndisks = 1;
	s.links[0] = (struct vm_link){ "tap0", "02:00:00:00:00:01", 0, true };
	s.disks[0] = (struct vm_disk){ .serial = "a", .path = "/a", .readonly = true };
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		for (int q35 = 0; q35 < 2; q35++) {
			char device[64], pci[64];

			snprintf(device, sizeof(device), " %s-device,", devices[i]);
			snprintf(pci, sizeof(pci), " %s-pci,", devices[i]);
			s.machine = q35 ? MACHINE_Q35 : MACHINE_MICROVM;
			has(&s, device, !q35);
			has(&s, pci, q35);
		}
	has(&s, " pvpanic-pci ", true);
	has(&s, ",id=balloon0,free-page-reporting=on,deflate-on-oom=on ", true);
	s.machine = MACHINE_MICROVM;
	has(&s, "pvpanic", false);
}

static void processors_are_plugged_in_where_that_works_and_else_offline_at_first(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.vcpus_max = 4;
	has(&s, " cpus=4,maxcpus=4,sockets=1,cores=4,threads=1 ", true);
	has(&s, " maxcpus=1 ", true);
	s.machine = MACHINE_Q35;
	has(&s, " cpus=4,maxcpus=4,sockets=1,cores=4,threads=1 ", true);
	has(&s, " maxcpus=1 ", true);
	s.accel = ACCEL_KVM;
	has(&s, " cpus=1,maxcpus=4,sockets=1,cores=4,threads=1 ", true);
	has(&s, " maxcpus=1 ", false);
	s.vcpus = 4;
	s.machine = MACHINE_MICROVM;
	has(&s, " maxcpus=4 ", false); /* nothing to keep offline */
}

static void memory_grows_on_q35_only(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.machine = MACHINE_Q35;
	has(&s, " size=512M ", true);
	has(&s, "virtio-mem", false);
	s.memory_max_mib = 2048;
	has(&s, " size=512M,maxmem=2048M ", true);
	has(&s, " memory-backend-memfd,share=on,id=more,size=1536M,reserve=off ", true);
	has(&s, " virtio-mem-pci,id=vmem0,memdev=more,requested-size=0 ", true);
	has(&s, " memhp_default_state=online_movable ", true);
	s.machine = MACHINE_MICROVM;
	has(&s, "maxmem", false);
	has(&s, "virtio-mem", false);
	has(&s, "memhp", false);
}

static void fill(struct vm_spec *s, size_t ndisks)
{
	s->ndisks = ndisks;
	for (size_t i = 0; i < ndisks; i++)
		s->disks[i] = (struct vm_disk){ .serial = "a", .path = "/a", .readonly = true };
}

static void a_microvm_has_acpi_only_if_it_has_more_than_eight_devices(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.nlinks = 1;
	s.links[0] = (struct vm_link){ "tap0", "02:00:00:00:00:01", 0, true };
	for (size_t ndisks = 3; ndisks < 6; ndisks++) {
		bool wide = ndisks > 4; /* with console, vsock, balloon and the interface */

		fill(&s, ndisks);
		has(&s, ",acpi=off,x-option-roms=off,", !wide);
		has(&s, " acpi=off ", !wide);
		has(&s, " microvm,accel=tcg,acpi=on,ioapic2=on,x-option-roms=off,", wide);
		has(&s, " -bios qboot.rom ", wide);
		has(&s, " virtio-balloon-device,", true);
	}
	fill(&s, 4);
	s.nshares = 1;
	has(&s, ",acpi=on,ioapic2=on,", true);
	s.machine = MACHINE_Q35;
	has(&s, "ioapic2", false);
}

static void disks_of_a_q35_share_slots_when_they_are_many(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	fill(&s, VM_DISKS_MAX);
	has(&s, ",addr=", false); /* not of a microvm */
	s.machine = MACHINE_Q35;
	fill(&s, 8);
	has(&s, ",addr=", false);
	fill(&s, VM_DISKS_MAX);
	has(&s, " virtio-blk-pci,drive=disk7,serial=a -add-fd ", true);
	has(&s, " virtio-blk-pci,drive=disk8,serial=a,addr=0x13.0,multifunction=on,num-queues=1 ",
	    true);
	has(&s, ",drive=disk15,serial=a,addr=0x13.7,", true);
	has(&s, ",drive=disk16,serial=a,addr=0x14.0,", true);
	has(&s, ",drive=disk71,serial=a,addr=0x1a.7,", true);
}

static void there_are_as_many_disks_as_slots(void **state)
{
	static const struct {
		enum machine machine;
		size_t nlinks, nshares, most;
		const char *says;
	} cases[] = {
		{ MACHINE_MICROVM, 0, 0, 21,
		  "0 links and 22 disks, but a microvm has slots for 21" },
		{ MACHINE_MICROVM, 2, 3, 18,
		  "2 links, virtiofsd and 19 disks, but a microvm has slots for 21" },
		{ MACHINE_Q35, 4, 3, 72, "fs.disks: 73 disks, at most 72" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_spec s = plan();
		struct qbx_err err = { 0 };

		s.machine = cases[i].machine;
		s.nlinks = cases[i].nlinks;
		s.nshares = cases[i].nshares;
		assert_int_equal(check_slots(&s, cases[i].most, &err), 0);
		assert_int_equal(check_slots(&s, cases[i].most + 1, &err), -1);
		assert_string_equal(err.msg, cases[i].says);
	}
}

static void vsock_comes_from_a_daemon_or_from_the_kernel(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	has(&s, " memory-backend-memfd,share=on,id=mem,size=512M ", true);
	has(&s, " -chardev socket,id=vsock,fd=7 -device vhost-user-vsock-device,chardev=vsock ",
	    true);
	s.vhost_user = false;
	s.cid = 77;
	has(&s, " memory-backend-ram,id=mem,size=512M ", true);
	has(&s, " vhost-vsock-device,guest-cid=77,vhostfd=7 ", true);
	has(&s, "chardev=vsock", false);
}

static void descriptors_are_numbered_without_gaps_or_clashes(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.nlinks = 2;
	s.links[0] = (struct vm_link){ "tap0", "02:00:00:00:00:01", 0, true };
	s.links[1] = (struct vm_link){ "tap1", "02:00:00:00:00:02", 0, false };
	s.ndisks = 2;
	s.disks[0] = (struct vm_disk){ .serial = "a", .path = "/a", .readonly = true };
	s.disks[1] = (struct vm_disk){ .serial = "b", .path = "/b", .readonly = true };
	has(&s, " tap,id=link0,fd=8,vhost=on,vhostfd=9 ", true);
	has(&s, " virtio-net-device,netdev=link0,mac=02:00:00:00:00:01 ", true);
	has(&s, " tap,id=link1,fd=10,vhost=off ", true);
	has(&s, " fd=11,set=11 ", true);
	has(&s, " driver=file,node-name=file0,read-only=on,filename=/dev/fdset/11 ", true);
	has(&s, " fd=12,set=12 ", true);
	has(&s, " virtio-blk-device,drive=disk1,serial=b ", true);
}

static void each_queue_of_a_tap_is_a_descriptor(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.nlinks = 3;
	s.links[0] = (struct vm_link){ "tap0", "02:00:00:00:00:01", 3, true };
	s.links[1] = (struct vm_link){ "tap1", "02:00:00:00:00:02", 2, false };
	s.links[2] = (struct vm_link){ "tap2", "02:00:00:00:00:03", 1, true };
	s.ndisks = 1;
	s.disks[0] = (struct vm_disk){ .serial = "a", .path = "/a", .readonly = true };
	has(&s, " tap,id=link0,fds=8:9:10,vhost=on,vhostfds=11:12:13 ", true);
	has(&s, " virtio-net-device,netdev=link0,mac=02:00:00:00:00:01,mq=on ", true);
	has(&s, " tap,id=link1,fds=14:15,vhost=off ", true);
	has(&s, " virtio-net-device,netdev=link1,mac=02:00:00:00:00:02,mq=on ", true);
	/* the only one that is opened of a device that can have several */
	has(&s, " tap,id=link2,fd=16,vhost=on,vhostfd=17 ", true);
	has(&s, " virtio-net-device,netdev=link2,mac=02:00:00:00:00:03 ", true);
	has(&s, " fd=18,set=18 ", true);
	for (size_t i = 0; i < s.nlinks; i++)
		s.links[i].queues = SIZE_QUEUES_MAX;
	has(&s, ",fds=40:41:42:43:44:45:46:47,vhost=on,vhostfds=48:49:50:51:52:53:54:55 ", false);
	s.links[1].vhost = true;
	has(&s, ",fds=40:41:42:43:44:45:46:47,vhost=on,vhostfds=48:49:50:51:52:53:54:55 ", true);
	has(&s, " fd=56,set=56 ", true);
}

static void a_vmdk_and_its_extents_are_descriptors(void **state)
{
	struct vm_spec s = plan();
	struct qbx_err err = { 0 };

	(void)state;
	s.ndisks = 2;
	s.disks[0] = (struct vm_disk){
		.serial = "flat", .path = "/x,readonly=off,/y.vmdk", .vmdk = true, .readonly = true
	};
	s.disks[0].extents = vmdk_parse("RW 8 FLAT \"/a\" 0\nRW 8 FLAT \"/b\" 0\n", &err);
	s.disks[1] = (struct vm_disk){ .serial = "b", .path = "/b", .readonly = true };
	assert_non_null(s.disks[0].extents);
	has(&s, " fd=8,set=8 -add-fd fd=9,set=9 -add-fd fd=10,set=10 -blockdev ", true);
	has(&s, " driver=file,node-name=file0,read-only=on,filename=/dev/fdset/8 ", true);
	has(&s, " driver=vmdk,node-name=disk0,read-only=on,file=file0 ", true);
	has(&s, " driver=file,node-name=file1,read-only=on,filename=/dev/fdset/11 ", true);
	has(&s, "readonly=off", false);
	plan_free(&s);
}

static void a_disk_to_write_to_gives_back_what_is_discarded(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.ndisks = 2;
	s.disks[0] = (struct vm_disk){ .serial = "root", .path = "/a", .readonly = true };
	s.disks[1] = (struct vm_disk){ .serial = "rw", .path = "/b" };
	has(&s,
	    ",filename=/dev/fdset/8 -blockdev driver=raw,node-name=disk0,read-only=on,file=file0 ",
	    true);
	has(&s, " virtio-blk-device,drive=disk0,serial=root ", true);
	has(&s, ",read-only=off,filename=/dev/fdset/9,discard=unmap ", true);
	has(&s, " driver=raw,node-name=disk1,read-only=off,file=file1,discard=unmap ", true);
	has(&s, " virtio-blk-device,drive=disk1,serial=rw,werror=report ", true);
}

static void relaxing_seccomp_leaves_the_sandbox_out(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.relaxed = CONFINE_SECCOMP;
	has(&s, "-sandbox", false);
	s.relaxed = ~(unsigned)CONFINE_SECCOMP;
	has(&s, "-sandbox", true);
}

static void debug_adds_a_console_for_the_first_moments(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.debug = true;
	has(&s, "isa-serial=on", true);
	has(&s, " earlyprintk=serial,ttyS0,115200 ignore_loglevel console=hvc0 ", true);
	has(&s, " -serial stdio ", true);
}

static void a_document_becomes_links_and_disks(void **state)
{
	char vmdk[] = "/tmp/qbx-argv-XXXXXX";
	int fd = mkstemp(vmdk);
	json_auto_t *doc = json_pack("{s:{s:s, s:[{s:s, s:s, s:i}]}, s:{s:[{s:s, s:s, s:s, s:b}]}}",
				     "net", "netns", "/run/netns/n", "links", "tap", "tap0", "mac",
				     "02:00:00:00:00:01", "queues", 2, "fs", "disks", "serial",
				     "root", "path", vmdk, "format", "vmdk", "readonly", 0);
	struct vm_spec s = plan();
	struct qbx_err err = { 0 };

	(void)state;
	assert_true(dprintf(fd, "RW 8 FLAT \"/a\" 0\n") > 0);
	close(fd);
	assert_int_equal(plan_devices(&s, doc, &err), 0);
	assert_int_equal(unlink(vmdk), 0);
	assert_string_equal(s.netns, "/run/netns/n");
	assert_int_equal(s.nlinks, 1);
	assert_string_equal(s.links[0].tap, "tap0");
	assert_int_equal(s.links[0].queues, 2);
	assert_int_equal(s.ndisks, 1);
	assert_true(s.disks[0].vmdk);
	assert_false(s.disks[0].readonly);
	assert_string_equal(s.disks[0].extents->v[0].path, "/a");
	plan_free(&s);
}

static void a_block_device_is_opened_as_one(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.ndisks = 1;
	s.disks[0] = (struct vm_disk){ .serial = "vol0", .path = "/dev/b", .block = true };
	has(&s,
	    " driver=host_device,node-name=file0,read-only=off,filename=/dev/fdset/"
	    "8,discard=unmap ",
	    true);
}

static void shares_are_one_device_and_have_the_memory_shared(void **state)
{
	struct vm_spec s = plan();

	(void)state;
	s.vhost_user = false;
	fill(&s, 5);
	has(&s, "vhost-user-fs", false);
	has(&s, "memory-backend-ram", true);
	assert_int_equal(vm_fds(&s), vm_share_fd(&s));
	s.nshares = 2;
	assert_int_equal(vm_share_fd(&s), VM_FD_FIRST + 5);
	assert_int_equal(vm_fds(&s), VM_FD_FIRST + 6);
	has(&s,
	    " -chardev socket,id=volumes,fd=13 -device "
	    "vhost-user-fs-device,chardev=volumes,tag=volumes,",
	    true);
	has(&s, "memory-backend-memfd,share=on", true);
	s.machine = MACHINE_Q35;
	has(&s, " -device vhost-user-fs-pci,", true);
}

static void bad_devices_are_refused_by_name(void **state)
{
	static const struct {
		const char *doc, *says;
	} bad[] = {
		{ "{\"net\":{\"links\":[{\"tap\":\"t\",\"mac\":\"02:00:00:00:00:01\"}]}}",
		  "netns" },
		{ "{\"net\":{\"netns\":7}}", "net: " },
		{ "{\"net\":{\"netns\":\"/n\",\"links\":[{\"tap\":\"t\",\"mac\":\"x,y\"}]}}",
		  "mac \"x,y\"" },
		{ "{\"net\":{\"netns\":\"/n\",\"links\":[{},{},{},{},{}]}}", "at most 4" },
		{ "{\"net\":{\"netns\":\"/n\",\"links\":[{\"tap\":\"t\",\"mac\":"
		  "\"02:00:00:00:00:01\",\"queues\":9}]}}",
		  "queues 9, at most 8" },
		{ "{\"net\":{\"netns\":\"/n\",\"links\":[{\"tap\":\"t\",\"mac\":"
		  "\"02:00:00:00:00:01\",\"queues\":0}]}}",
		  "queues 0" },
		{ "{\"fs\":{\"disks\":[{\"serial\":\"a b\",\"path\":\"/\"}]}}", "serial \"a b\"" },
		{ "{\"fs\":{\"disks\":[{\"serial\":\"a\",\"path\":\"b\"}]}}", "not absolute" },
		{ "{\"fs\":{\"disks\":[{\"serial\":\"a\",\"path\":\"/\",\"format\":\"qcow2\"}]}}",
		  "qcow2" },
		{ "{\"fs\":{\"disks\":[{\"serial\":\"a\",\"path\":\"/no/such\"}]}}", "/no/such" },
		{ "{\"fs\":{\"disks\":[{\"serial\":\"a\",\"path\":\"/dev/null\","
		  "\"format\":\"vmdk\"}]}}",
		  "disk description /dev/null: no extent" },
		{ "{\"fs\":{\"disks\":[7]}}", "fs.disks" },
		{ "{\"fs\":{\"volumes\":[7]}}", "fs.volumes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_auto_t *doc = json_loads(bad[i].doc, 0, NULL);
		struct vm_spec s = plan();
		struct qbx_err err = { 0 };

		assert_non_null(doc);
		assert_int_equal(plan_devices(&s, doc, &err), -1);
		if (!strstr(err.msg, bad[i].says))
			fail_msg("\"%s\" is not in: %s", bad[i].says, err.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vm_is_confined),
		cmocka_unit_test(tcg_and_kvm_get_machines_that_boot_there),
		cmocka_unit_test(every_device_is_of_the_machine_s_bus),
		cmocka_unit_test(
			processors_are_plugged_in_where_that_works_and_else_offline_at_first),
		cmocka_unit_test(memory_grows_on_q35_only),
		cmocka_unit_test(a_microvm_has_acpi_only_if_it_has_more_than_eight_devices),
		cmocka_unit_test(disks_of_a_q35_share_slots_when_they_are_many),
		cmocka_unit_test(there_are_as_many_disks_as_slots),
		cmocka_unit_test(vsock_comes_from_a_daemon_or_from_the_kernel),
		cmocka_unit_test(descriptors_are_numbered_without_gaps_or_clashes),
		cmocka_unit_test(each_queue_of_a_tap_is_a_descriptor),
		cmocka_unit_test(a_vmdk_and_its_extents_are_descriptors),
		cmocka_unit_test(a_disk_to_write_to_gives_back_what_is_discarded),
		cmocka_unit_test(relaxing_seccomp_leaves_the_sandbox_out),
		cmocka_unit_test(debug_adds_a_console_for_the_first_moments),
		cmocka_unit_test(a_document_becomes_links_and_disks),
		cmocka_unit_test(a_block_device_is_opened_as_one),
		cmocka_unit_test(shares_are_one_device_and_have_the_memory_shared),
		cmocka_unit_test(bad_devices_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
