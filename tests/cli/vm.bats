#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-vm on any machine: its command line, its errors, and how it deals with a vsock daemon, a QEMU and a
# guest that misbehave in ways that the real ones can hardly be brought to. The real ones: e2e/vm.bats.

bats_require_minimum_version 1.5.0

load fails

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_CONFIG=$T/config.json QEMUBOX_RUN_DIR=$T/run QEMUBOX_SHARE_DIR=$T/share
	export QEMUBOX_ACCEL=tcg QEMUBOX_VSOCK=vhost-user PATH=$T/bin:$QBX_BIN:$PATH
	echo '{}' > "$QEMUBOX_CONFIG"
	mkdir -p "$T/bin" "$T/share/kernel"
	touch "$T/share/kernel/qemubox-kernel-x86_64" "$T/share/kernel/qemubox-initrd"
	echo '{"qbx":1,"id":"demo","mine":[1,2]}' > "$T/box.json"
	dir=$T/run/default--demo
	program qemu-system-x86_64 'exec sleep 1000'
	daemon
}

# No process and no file of a box may be left.
teardown() {
	# in a root of its own a program of this test sees itself, and nothing else of ours
	left=$(for p in /proc/[0-9]*/root; do
			[ ! -e "$p/$T/bin" ] || [ "$p" -ef / ] || echo "process ${p//[!0-9]/}"
		done
		ls -A "$T/run" 2> /dev/null || :)
	[ -z "$left" ] || { echo "left behind: $left"; false; }
}

program() {
	printf '#!/bin/sh\n%s\n' "$2" > "$T/bin/$1"
	chmod +x "$T/bin/$1"
}

# daemon [WAY=VALUE]... - a vhost-device-vsock with a guest behind it. Its ways: GAP, seconds between
# bind and listen; HELLO, what the guest says; VERSION, of its hello; DELAY, seconds before it; BOOT, a
# file for the answer.
daemon() {
	printf '#!/usr/bin/env python3\nways = "%s"\n' "$*" > "$T/bin/vhost-device-vsock"
	cat >> "$T/bin/vhost-device-vsock" <<- 'END'
		import socket, struct, time
		env = dict(way.split("=") for way in ways.split()).get
		vhost = socket.socket(socket.AF_UNIX)
		vhost.bind("vhost.sock")
		time.sleep(float(env("GAP", "0")))
		vhost.listen()
		qemu = vhost.accept()[0]
		time.sleep(float(env("DELAY", "0")))
		guest = socket.socket(socket.AF_UNIX)
		guest.connect("vsock.sock_1023")
		kernel = b"6.12.0-test"
		hello = bytes([8, int(env("VERSION", "1")), 18, len(kernel)]) + kernel
		guest.sendall(env("HELLO", "").encode() or struct.pack(">I", len(hello)) + hello)
		size = struct.unpack(">I", guest.recv(4, socket.MSG_WAITALL))[0]
		boot = guest.recv(size, socket.MSG_WAITALL)
		with open(env("BOOT", "/dev/null"), "wb") as f:
		    f.write(boot)
		guest.close()
		time.sleep(1000)
	END
	chmod +x "$T/bin/vhost-device-vsock"
}

@test "start writes the document that the schema describes, and stop undoes it" {
	daemon BOOT=boot
	qbx-vm start < "$T/box.json" > "$T/out"
	valid vm.json "$T/out"
	[ "$(jq -c .mine "$T/out")" = '[1,2]' ]
	[ "$(jq -r .vm.guest.kernel "$T/out")" = 6.12.0-test ]
	[ "$(jq -c .vm.t_us "$T/out")" != null ]
	cmp "$T/out" "$dir/box.json"
	[ "$(stat -c %a "$dir" "$dir/token" | xargs)" = '700 600' ]
	# the guest was given the token that lies in the directory
	python3 -c 'import sys; a, b = (open(f, "rb").read() for f in sys.argv[1:]); sys.exit(b not in a)' \
		"$dir/vsock/boot" "$dir/token"
	qbx-vm status < "$T/out" > "$T/status"
	valid vm-status.json "$T/status"
	[ "$(jq -r .state "$T/status")" = running ]
	[ "$(jq .pid "$T/status")" = "$(jq .vm.pid "$T/out")" ]
	qbx-vm stop < "$T/out" > "$T/stopped"
	diff <(jq -S . "$T/box.json") <(jq -S . "$T/stopped")
}

@test "stop knows a box by its name alone, and one that does not run is stopped" {
	qbx-vm start --box "$T/box.json" > /dev/null
	qbx-vm stop --box "$T/box.json" > /dev/null
	qbx-vm stop --box "$T/box.json" > /dev/null
	run -1 qbx-vm status --box "$T/box.json"
	valid vm-status.json <(echo "$output")
	[ "$(jq -r .state <<< "$output")" = stopped ]
}

@test "a box that runs is not started again, and not harmed" {
	qbx-vm start --box "$T/box.json" > "$T/out"
	fails 75 'runs already' start --box "$T/box.json"
	qbx-vm status --box "$T/box.json" > /dev/null
	qbx-vm stop --box "$T/out" > /dev/null
}

@test "two namespaces have two boxes of one name" {
	jq '.namespace = "other"' "$T/box.json" > "$T/other.json"
	qbx-vm start --box "$T/box.json" > /dev/null
	qbx-vm start --box "$T/other.json" > /dev/null
	qbx-vm stop --box "$T/box.json" > /dev/null
	qbx-vm status --box "$T/other.json" > /dev/null
	qbx-vm stop --box "$T/other.json" > /dev/null
}

@test "a daemon that takes its time between bind and listen is waited for" {
	for gap in 0 0.01 0.3; do
		daemon GAP="$gap"
		qbx-vm start --box "$T/box.json" > /dev/null
		qbx-vm stop --box "$T/box.json" > /dev/null
	done
}

@test "a daemon that ends early is quoted" {
	# shellcheck disable=SC2016
	program vhost-device-vsock 'echo "no vsock $(printf "\033[31m") today" >&2; exit 1'
	fails 69 'vhost-device-vsock ended: no vsock  [31m today' start --box "$T/box.json"
}

@test "a missing daemon is named, with what to do" {
	rm "$T/bin/vhost-device-vsock"
	program qemu-system-x86_64 exit
	run --separate-stderr env PATH="$T/bin" "$QBX_BIN/qbx-vm" start --box "$T/box.json"
	[ "$status" -eq 69 ]
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *'install vhost-device-vsock'* ]]
}

@test "a QEMU that ends early is quoted" {
	program qemu-system-x86_64 'echo "qemu: warning: x" >&2; echo "qemu: cannot do it" >&2; exit 3'
	daemon DELAY=30
	fails 69 'QEMU failed with status 3: qemu: cannot do it' start --box "$T/box.json"
}

@test "the kernel's panic is quoted when the guest ends" {
	program qemu-system-x86_64 'printf "Kernel panic - not syncing: oh\nrebooting\n" >&3'
	daemon DELAY=30
	fails 69 'Kernel panic - not syncing: oh' start --box "$T/box.json"
}

@test "a guest of another version, or that talks rubbish, is not let in" {
	daemon VERSION=2
	fails 65 'version 2' start --box "$T/box.json"
	daemon HELLO=GET/HTTP
	fails 69 'length' start --box "$T/box.json"
}

@test "SIGTERM while the guest boots undoes everything" {
	daemon DELAY=100
	qbx-vm start --box "$T/box.json" > "$T/out" 2> "$T/err" &
	pid=$!
	until grep -qs '"pid".*helper' "$dir/vm.json"; do sleep 0.05; done
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 75 ]
	grep -q 'interrupted by signal 15' "$T/err"
	[ ! -s "$T/out" ]
}

@test "after kill -9 while the guest boots, stop finds everything" {
	daemon DELAY=100
	qbx-vm start --box "$T/box.json" &
	pid=$!
	until grep -qs '"pid".*helper' "$dir/vm.json"; do sleep 0.05; done
	kill -KILL "$pid"
	wait "$pid" || :
	qbx-vm stop --box "$T/box.json" > /dev/null
}

@test "stop in the middle of a start ends both" {
	daemon DELAY=100
	qbx-vm start --box "$T/box.json" 2> "$T/err" &
	pid=$!
	until grep -qs '"pid".*helper' "$dir/vm.json"; do sleep 0.05; done
	qbx-vm stop --box "$T/box.json" > /dev/null
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 69 ]
}

@test "a dead QEMU costs stop no wait, and its pid is nobody else's" {
	qbx-vm start --box "$T/box.json" > "$T/out"
	kill -KILL "$(jq .vm.pid "$T/out")"
	# the same pid with another start time: this shell
	jq --argjson pid $$ '.vm.pid = $pid | .vm.start = 1' "$T/out" > "$T/recycled.json"
	jq -c .vm "$T/recycled.json" > "$dir/vm.json"
	SECONDS=0
	qbx-vm stop --box "$T/recycled.json" > /dev/null
	[ "$SECONDS" -lt 3 ]
	kill "$(jq .vm.helper.pid "$T/out")" 2> /dev/null || :
}

@test "run wants mounts, and ends the VM with 125 without them" {
	fails 125 'fs.mounts' run --box "$T/box.json" -- true
}

@test "run has no hooks of the host, and says so before there is a VM" {
	jq '.fs.mounts = [{}] | .spec = {process: {args: ["true"]}, hooks: {createRuntime: [{path: "/bin/x"}]}}' \
		"$T/box.json" > "$T/hooked.json"
	fails 125 'hooks.createRuntime' run --box "$T/hooked.json"
	[ ! -e "$dir" ]
}

@test "dry-run prints what a shell would take, and does nothing" {
	jq --arg p "$T/a,b 'c'.img" '.fs.disks = [{serial: "root", path: $p, format: "vmdk", readonly: true}]' \
		"$T/box.json" > "$T/disk.json"
	echo "RW 8 FLAT \"$T/extent\" 0" > "$T/a,b 'c'.img"
	qbx-vm start --dry-run --box "$T/disk.json" > "$T/plan"
	sh -n "$T/plan"
	# shellcheck disable=SC2016 # this is for the shell that reads it
	grep -q 'setpriv .* --reuid=$uid .* vhost-device-vsock --guest-cid 3 ' "$T/plan"
	# what the shell makes of the line is what QEMU would be given
	eval "set -- $(grep '^.*qemu-system-x86_64 ' "$T/plan")"
	[[ " $* " == *" fd=8,set=8 -add-fd fd=9,set=9 "*" driver=file,node-name=file0,read-only=on,filename=/dev/fdset/8 "* ]]
	[ ! -e "$T/run" ]
}

# disks N: the document of a box with so many
disks() {
	jq --argjson n "$1" --arg p "$T/image" '.fs.disks = [range($n) | {serial: "d\(.)", path: $p}]' "$T/box.json"
}

@test "more devices than a microvm has slots for bring ACPI, far more are refused with the numbers" {
	touch "$T/image"
	disks 5 | qbx-vm start --dry-run > "$T/plan"
	grep -q -- '-machine microvm,accel=tcg,acpi=off,.* acpi=off' "$T/plan"
	disks 6 | qbx-vm start --dry-run > "$T/plan"
	grep -q -- '-machine microvm,accel=tcg,acpi=on,ioapic2=on,.* -bios qboot.rom ' "$T/plan"
	run ! grep -q acpi=off "$T/plan"
	disks 21 | qbx-vm start --dry-run | grep -q 'virtio-balloon-device,'
	disks 22 > "$T/bad.json"
	fails 69 '0 links and 22 disks, but a microvm has slots for 21 (a q35 ' start --box "$T/bad.json"
	QEMUBOX_MACHINE=q35 qbx-vm start --dry-run --box "$T/bad.json" > "$T/plan"
	# each where no other is
	[ "$(grep -o ',addr=[^,]*' "$T/plan" | sort -u | wc -l)" -eq 14 ]
	disks 73 > "$T/bad.json"
	QEMUBOX_MACHINE=q35 fails 65 'fs.disks: 73 disks, at most 72' start --box "$T/bad.json"
}

@test "size follows the specification, and says how" {
	export QEMUBOX_VCPUS_MAX=4
	qbx-vm size --box "$T/box.json" > "$T/size"
	valid size.json "$T/size"
	[ "$(jq -c '[.machine, .vcpus, .memory_mib, .memory_max_mib]' "$T/size")" = '["microvm",1,512,512]' ]
	mkdir "$T/bundle"
	echo '{"linux":{"resources":{"memory":{"limit":314572800},"cpu":{"quota":250000,"period":100000}}},
		"annotations":{"io.qemubox.machine":"q35"}}' > "$T/bundle/config.json"
	jq --arg b "$T/bundle" '.bundle = $b' "$T/box.json" > "$T/bundled.json"
	qbx-vm size < "$T/bundled.json" > "$T/size"
	valid size.json "$T/size"
	[ "$(jq -c . "$T/size")" = '{"machine":"q35","vcpus":3,"vcpus_max":3,"memory_mib":384,"memory_max_mib":384,"cpu_quota_us":250000,"cpu_period_us":100000}' ]
	qbx-vm size --explain < "$T/bundled.json" > "$T/why"
	grep -q '^cpu quota .* rounded up: 3$' "$T/why"
	grep -q '^memory needed .*384 MiB: the limit, 65 for the guest, 6 for its memory map' "$T/why"
	# what start would do is of that size
	qbx-vm start --dry-run < "$T/bundled.json" > "$T/plan"
	grep -q -- ' q35,.* -smp cpus=3,maxcpus=3,.* -m size=384M ' "$T/plan"
	jq '.machine = "microvm"' "$T/bundled.json" | qbx-vm start --dry-run > "$T/plan"
	grep -q -- ' microvm,' "$T/plan"
}

@test "a size that cannot be is refused with its reason" {
	while IFS=$'\t' read -r code says spec; do
		jq --argjson s "$spec" '.spec = $s' "$T/box.json" > "$T/bad.json"
		fails "$code" "$says" size --box "$T/bad.json"
		fails "$code" "$says" start --box "$T/bad.json"
	done <<- 'END'
		69	but the host has	{"linux":{"resources":{"memory":{"limit":9007199254740992}}}}
		65	linux.resources.memory.limit must be	{"linux":{"resources":{"memory":{"limit":"1G"}}}}
		65	cpu.cpus: "1-"	{"linux":{"resources":{"cpu":{"cpus":"1-"}}}}
		65	io.qemubox.vcpus: "many"	{"annotations":{"io.qemubox.vcpus":"many"}}
		65	io.qemubox.kernel is none of ours	{"annotations":{"io.qemubox.kernel":"/k"}}
	END
	jq '.machine = "pc"' "$T/box.json" > "$T/bad.json"
	fails 65 '"pc" is none of microvm, q35' size --box "$T/bad.json"
}

@test "what is missing is named" {
	rm "$T/share/kernel/qemubox-initrd"
	fails 69 'kernel/qemubox-initrd: No such file' start --box "$T/box.json"
	rm "$T/share/kernel/qemubox-kernel-x86_64"
	fails 69 'kernel/qemubox-kernel-x86_64: No such file' start --box "$T/box.json"
	QEMUBOX_QEMU_PATH=/no/qemu fails 69 'QEMU at /no/qemu' start --box "$T/box.json"
}

@test "TCG is used only when it was asked for" {
	if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
		QEMUBOX_ACCEL=kvm qbx-vm start --dry-run --box "$T/box.json" | grep -q accel=kvm
	else
		QEMUBOX_ACCEL=kvm run --separate-stderr qbx-vm start --box "$T/box.json"
		[ "$status" -eq 69 ] || [ "$status" -eq 77 ]
		[[ $stderr == *'QEMUBOX_ACCEL=tcg'* ]]
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
		QEMUBOX_ACCEL=auto run --separate-stderr qbx-vm start --dry-run --box "$T/box.json"
		[ "$status" -eq 0 ]
		[[ $stderr == *'no security boundary'* ]]
	fi
	jq '.accel = "xen"' "$T/box.json" > "$T/xen.json"
	fails 65 '"xen" is none of' start --box "$T/xen.json"
}

@test "a malformed document is one line and leaves nothing" {
	while IFS=$'\t' read -r says doc; do
		echo "$doc" > "$T/bad.json"
		for verb in start run stop pause events status size; do
			code=65
			[ "$verb" != run ] || code=125
			fails "$code" "$says" "$verb" --box "$T/bad.json"
		done
	done <<- 'END'
		version 2	{"qbx":2,"id":"demo"}
		duplicate	{"qbx":1,"id":"demo","id":"demo"}
		"id" is missing	{"qbx":1}
		must be an object	{"qbx":1,"id":"demo","vm":[]}
		not valid JSON	{"qbx":1,
		letters and digits	{"qbx":1,"id":"../demo"}
	END
	head -c 104857600 /dev/zero | tr '\0' ' ' > "$T/bad.json"
	fails 65 'more than' start --box "$T/bad.json"
	fails 65 'vm: ' stop --box <(echo '{"qbx":1,"id":"demo","vm":{"pid":1,"start":1}}')
}

@test "an error can be had as JSON" {
	QEMUBOX_QEMU_PATH=/no/qemu run -69 --separate-stderr qbx-vm start --json-errors --box "$T/box.json"
	valid error.json <(echo "$stderr")
	[ "$(jq -r '.error | .stage, .code' <<< "$stderr" | xargs)" = 'qbx-vm 69' ]
	[ "$(jq -r .error.hint <<< "$stderr")" != '' ]
}

@test "help names every verb, and wrong usage is 64" {
	for verb in start run exec stop pause resume status list events size check; do
		qbx-vm --help | grep -q "qbx-vm $verb "
	done
	fails 64 'unknown verb' fly
	fails 64 'takes no argument' stop now
	fails 64 'unknown option' start --fast
}

@test "the first example of the manual works" {
	cd "$T"
	eval "$(man_example 'See what would be run')" | grep -q qemu-system
}

# The commands of the example of the manual that begins with these words.
man_example() {
	sed -n "/^$1/,/^\.Ed/p" "$BATS_TEST_DIRNAME/../../man/qbx-vm.8" | sed '1,/^\.Bd/d; /^\.Ed/d'
}
