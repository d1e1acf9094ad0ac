#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-vm check of a test host, where boxes are known to run: it has to say so, of the real QEMU, vsock, CNI
# plugins and guest, and has to notice when the guest is no longer the one that was installed.

bats_require_minimum_version 1.5.0

state() {
	jq -r --arg n "$1" '.checks[] | select(.name == $n).state' "$BATS_TEST_TMPDIR/out"
}

@test "a host that runs boxes is usable, and its parts are what they are" {
	qbx check -j > "$BATS_TEST_TMPDIR/out" || { cat "$BATS_TEST_TMPDIR/out"; false; }
	for part in run-dir guest qemu virtiofsd cni; do
		[ "$(state $part)" = ok ] || { cat "$BATS_TEST_TMPDIR/out"; false; }
	done
	version=$(qemu-system-x86_64 --version | sed -n '1s/.* version \([0-9]*\.[0-9]*\).*/\1/p')
	[[ $(jq -r '.checks[] | select(.name == "qemu").detail' "$BATS_TEST_TMPDIR/out") == "$version at "* ]]
	# what the kernel has, whichever host this is
	want=degraded
	! grep -qw memory /sys/fs/cgroup/cgroup.controllers 2> /dev/null || want=ok
	[ "$(state cgroup)" = $want ]
	want=degraded
	[ ! -e /dev/vhost-net ] || want=ok
	[ "$(state vhost-net)" = $want ]
	if [ -e /dev/vhost-vsock ]; then
		[ "$(state vhost-vsock)" = ok ]
	else
		[ "$(state vhost-vsock) $(state vhost-user)" = 'degraded ok' ]
		QEMUBOX_VSOCK=vhost-vsock run -69 qbx-vm check
	fi
	# accel is not kvm, or it works
	if [ "${QEMUBOX_ACCEL:-kvm}" = kvm ]; then
		[ "$(state kvm)" = ok ]
	else
		[ "$(state kvm)" = degraded ]
	fi
}

@test "both machines and both transports are known to this QEMU" {
	for machine in microvm q35; do
		for vsock in vhost-user auto; do
			QEMUBOX_MACHINE=$machine QEMUBOX_VSOCK=$vsock qbx-vm check
		done
	done
}

@test "a kernel and an initrd that do not belong together are refused" {
	mkdir -p "$BATS_TEST_TMPDIR/kernel"
	cp /usr/share/qemubox/kernel/* "$BATS_TEST_TMPDIR/kernel"
	export QEMUBOX_SHARE_DIR=$BATS_TEST_TMPDIR
	qbx-vm check
	printf x >> "$BATS_TEST_TMPDIR/kernel/qemubox-initrd"
	run -69 qbx-vm check
	[[ $output == *'qemubox-initrd is not the one of'*'make guest install'* ]]
}
