#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is missing or broken on the host gives one clear line through ctr, and leaves nothing behind.

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0
# Before containerd starts: here the configuration file says it, and this file is read once a test.
export accel=${accel:-${QEMUBOX_ACCEL:-kvm}}
unset QEMUBOX_ACCEL
mkdir -p /etc/qemubox
echo "{\"accel\":\"$accel\"}" > /etc/qemubox/config.json
load boxes

# refused JSON TEXT... - with this configuration a box comes to nothing, and one line says each TEXT
refused() {
	echo "$1" > /etc/qemubox/config.json
	shift
	run box refused true
	echo "{\"accel\":\"$accel\"}" > /etc/qemubox/config.json
	echo "# $output"
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	for text in "$@"; do
		[[ $output == *"$text"* ]] || return
	done
}

# bats test_tags=kvm
@test "no KVM, and TCG not asked for" {
	[ "$accel" = tcg ] || mv /dev/kvm /dev/kvm.away
	refused '{}' QEMUBOX_ACCEL=tcg
	[[ ${output,,} == *kvm* ]]
	[ "$accel" = tcg ] || mv /dev/kvm.away /dev/kvm
}

@test "no kernel" {
	refused "{\"accel\":\"$accel\",\"share_dir\":\"/nowhere\"}" /nowhere/kernel/qemubox-kernel-x86_64
}

@test "no QEMU" {
	refused "{\"accel\":\"$accel\",\"qemu_path\":\"/nowhere/qemu\"}" /nowhere/qemu
}

@test "QEMU that fails at once is quoted" {
	printf '#!/bin/sh\necho "no such machine" >&2\nexit 1\n' > "$BATS_FILE_TMPDIR/qemu"
	chmod +x "$BATS_FILE_TMPDIR/qemu"
	refused "{\"accel\":\"$accel\",\"qemu_path\":\"$BATS_FILE_TMPDIR/qemu\"}" 'no such machine'
}

@test "no CNI plugin" {
	refused "{\"accel\":\"$accel\",\"cni_bin_dir\":\"/nowhere\"}" bridge /nowhere
}

@test "a CNI plugin that fails half-way: the earlier ones are undone" {
	mkdir "$BATS_FILE_TMPDIR/cni"
	ln -s /usr/lib/cni/* "$BATS_FILE_TMPDIR/cni/"
	rm "$BATS_FILE_TMPDIR/cni/firewall"
	# shellcheck disable=SC2016 # the plugin's shell expands this
	printf '#!/bin/sh\n[ "$CNI_COMMAND" != ADD ] || { echo "{\\"code\\":999,\\"msg\\":\\"no firewall today\\"}"; exit 1; }\n' \
		> "$BATS_FILE_TMPDIR/cni/firewall"
	chmod +x "$BATS_FILE_TMPDIR/cni/firewall"
	refused "{\"accel\":\"$accel\",\"cni_bin_dir\":\"$BATS_FILE_TMPDIR/cni\"}" firewall 'no firewall today'
}

@test "an unknown key in the configuration" {
	refused '{"acel":"tcg"}' acel
}

@test "a root that is empty" {
	mkdir root
	run ctr run --rm --rootfs --runtime "$runtime" "$PWD/root" noimage true
	echo "# $output"
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
}
