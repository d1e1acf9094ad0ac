#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-vm check: what it finds, where each thing was taken away in turn. QEMU and the vsock daemon are
# stand-ins that can be made old or poor; the real ones are looked at in e2e/check.bats.

bats_require_minimum_version 1.5.0
load valid

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_CONFIG=$T/config.json QEMUBOX_RUN_DIR=$T/run QEMUBOX_SHARE_DIR=$T/share
	export QEMUBOX_ACCEL=tcg QEMUBOX_VSOCK=vhost-user QEMUBOX_MACHINE=microvm QEMUBOX_STATE_DIR=$T/state
	export QEMUBOX_CNI_CONF_DIR=$T/cni QEMUBOX_CNI_BIN_DIR=$T/plugins PATH=$T/bin:$QBX_BIN:$PATH
	echo '{}' > "$QEMUBOX_CONFIG"
	mkdir -p "$T/bin" "$T/share/kernel" "$T/cni" "$T/plugins"
	echo kernel > "$T/share/kernel/qemubox-kernel-x86_64"
	echo initrd > "$T/share/kernel/qemubox-initrd"
	manifest 1 kernel initrd
	qemu 7.2.22
	program vhost-device-vsock ''
	echo '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge"}]}' > "$T/cni/10-net.conflist"
	cp "$T/bin/vhost-device-vsock" "$T/plugins/bridge"
}

program() {
	printf '#!/bin/sh\n%s\n' "$2" > "$T/bin/$1"
	chmod +x "$T/bin/$1"
}

# qemu VERSION [DEVICE that it has not]
qemu() {
	{
		printf '#!/bin/sh\ncase "$*" in\n'
		printf '%s) echo "QEMU emulator version %s (test)" ;;\n' --version "$1"
		printf '*-machine*) printf "%%s\\n" "Supported machines are:" "microvm   a" "q35   b" ;;\n'
		printf '*-accel*) printf "%%s\\n" Accelerators: tcg kvm ;;\n'
		# shellcheck disable=SC2016 # the stand-in's own shell expands it
		printf '*-device*) for d in %s; do echo "name \\"$d\\", bus x"; done ;;\n' "$(
			for d in virtio-serial virtio-net virtio-blk vhost-user-vsock vhost-vsock virtio-balloon; do
				for kind in device pci; do [ "$d-$kind" = "${2:-}" ] || printf '%s-%s ' "$d" "$kind"; done
			done)virtconsole pcie-root-port virtio-mem-pci pvpanic pvpanic-pci"
		printf 'esac\n'
	} > "$T/bin/qemu-system-x86_64"
	chmod +x "$T/bin/qemu-system-x86_64"
}

# manifest PROTOCOL KERNEL INITRD: of files with that contents
manifest() {
	jq -n --argjson p "$1" --arg k "$(echo "$2" | sha256sum | cut -c1-64)" \
		--arg i "$(echo "$3" | sha256sum | cut -c1-64)" '{guest: 1, protocol: $p,
		kernel: {sha256: $k, release: "6.12.1"}, initrd: {sha256: $i, crun: "1.21"}}' \
		> "$T/share/kernel/qemubox-guest.json"
}

# says NAME STATE TEXT STATUS: what the check of that name finds, in a detail or hint with TEXT
says() {
	local rc=0
	qbx-vm check -j > "$T/out" || rc=$?
	[ "$rc" -eq "$4" ] || { echo "status $rc"; cat "$T/out"; false; }
	jq -e --arg n "$1" --arg s "$2" --arg t "$3" '.checks[] | select(.name == $n)
		| .state == $s and (.detail + " " + .hint | contains($t))' "$T/out" > /dev/null ||
		{ cat "$T/out"; false; }
}

@test "all that is needed is there: 0, as the schema has it" {
	qbx-vm check -j > "$T/out"
	valid check.json "$T/out"
	[ "$(jq .usable "$T/out")" = true ]
	says guest ok 'Linux 6.12.1 with crun 1.21' 0
	says qemu ok 7.2 0
	says cni ok "net, CNI 1.0.0, of $T/cni/10-net.conflist" 0
}

@test "people get a line a thing" {
	qbx-vm check > "$T/lines"
	qbx-vm check -j > "$T/out"
	[ "$(awk '{ print $2, $1 }' "$T/lines")" = "$(jq -r '.checks[] | .name + " " + .state' "$T/out")" ]
	[ "$(grep -c . "$T/lines")" -eq 10 ]
	[ ! -e "$T/run" ] # it only looks
}

@test "KVM: not usable here is degraded or missing, as accel has it" {
	if grep -qwE 'vmx|svm' /proc/cpuinfo; then
		says kvm degraded 'accel is "tcg"' 0
	else
		says kvm degraded 'neither vmx nor svm' 0
		QEMUBOX_ACCEL=auto says kvm degraded 'emulated' 0
		QEMUBOX_ACCEL=kvm says kvm missing 'firmware' 69
	fi
}

@test "kernel and initrd that do not belong together are refused" {
	manifest 1 kernel other
	says guest missing 'qemubox-initrd is not the one' 69
	manifest 1 other initrd
	says guest missing 'qemubox-kernel-x86_64 is not the one' 69
	manifest 2 kernel initrd
	says guest missing 'version 2 of the guest protocol' 69
	echo '{' > "$T/share/kernel/qemubox-guest.json"
	says guest missing 'make guest install' 69
	rm "$T/share/kernel/qemubox-guest.json"
	says guest degraded 'not known' 0
	rm "$T/share/kernel/qemubox-initrd"
	says guest missing 'qemubox-initrd' 69
}

@test "QEMU: absent, old, or without a device" {
	qemu 6.9.1
	says qemu missing 'older than 7.2' 69
	qemu 10.0.2 virtio-net-device
	says qemu missing 'virtio-net-device' 69
	qemu 10.0.2 vhost-user-vsock-device
	says qemu missing 'vhost-user-vsock-device' 69
	program qemu-system-x86_64 'echo broken >&2; exit 3'
	says qemu missing 'exit status 3: broken' 69
	QEMUBOX_QEMU_PATH=$T/absent says qemu missing "$T/absent" 69
}

@test "vsock: who is to carry it, and who does not" {
	says vhost-vsock ok 'not used' 0
	says vhost-user ok vhost-device-vsock 0
	rm "$T/bin/vhost-device-vsock"
	ln -s "$(command -v jq)" "$(command -v cat)" "$T/bin"
	PATH=$T/bin:$QBX_BIN says vhost-user missing 'not in PATH' 69
	[ -e /dev/vhost-vsock ] || QEMUBOX_VSOCK=vhost-vsock says vhost-vsock missing 'modprobe vhost_vsock' 69
}

@test "virtiofsd: without it there are no directories of the host's" {
	program virtiofsd :
	says virtiofsd ok "$T/bin/virtiofsd" 0
	rm "$T/bin/virtiofsd"
	[ -e /usr/libexec/virtiofsd ] || says virtiofsd degraded 'install it' 0
}

@test "CNI: no network is less, a plugin that is not there is not enough" {
	rm "$T/plugins/bridge"
	says cni missing bridge 69
	cp "$T/bin/vhost-device-vsock" "$T/plugins/bridge"
	echo '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]}' > "$T/cni/10-net.conflist"
	says cni missing 'IPAM of CNI plugin "bridge": CNI plugin "host-local" is in none of' 69
	rm "$T"/cni/*
	says cni degraded 'no CNI configuration' 0
	QEMUBOX_CNI_NETWORK=absent says cni missing absent 69
}

@test "77 if permissions are the reason" {
	rm "$T"/cni/*
	chmod a= "$T/share/kernel"
	as=()
	if [ "$(id -u)" -eq 0 ]; then
		as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
		cp "$QBX_BIN/qbx-vm" "$QBX_BIN/qbx-net" "$T/bin" # may be where nobody else may look
		chmod 755 "$T" "${T%/*}" "${T%/*/*}"
	else
		chmod a-w "$T"
	fi
	status=0
	"${as[@]}" qbx-vm check -j > "$T/../out" || status=$?
	chmod u+rwx "$T" "$T/share/kernel"
	mv "$T/../out" "$T"
	[ "$status" -eq 77 ] || { cat "$T/out"; false; }
	[ "$(jq -c '[.checks[] | select(.state == "missing").name]' "$T/out")" = '["run-dir","guest"]' ]
}

@test "-j is for one dash, and output that cannot be written is an error" {
	run -64 qbx-vm check --j
	run -64 qbx-vm check -jj
	run -64 qbx-vm check -x
	run ! bash -c 'qbx-vm check > /dev/full'
	run ! bash -c 'qbx-vm check -j > /dev/full'
}
