#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Machines and sizes: microvm and q35, on every QEMU there is; processors and memory as a container's
# specification has them; memory that comes and goes.
# shellcheck disable=SC2030,SC2031 # each test is a process

bats_require_minimum_version 1.5.0

load vms

dir=/run/qemubox/default--demo

# QEMU of this host, and of other suites where they were unpacked: in the direct host all of them.
qemus() {
	ls -d /opt/qemu/*/qemu-system-x86_64 2> /dev/null || [ "${QEMUBOX_ACCEL:-}" != tcg ]
	command -v qemu-system-x86_64
}

# with FILTER: a box whose container has runc's own default specification, changed by that
with() {
	(cd "$T" && rm -f config.json && runc spec)
	jq --slurpfile spec "$T/config.json" ".spec = \$spec[0] | .spec.process.terminal = false |
		.spec.process.cwd = \"/\" | .spec.root.readonly = false | $1" "$BOX" > "$T/box.json"
}

# A shell in a box, which takes what `ask` asks.
shell_start() {
	mkfifo "$T/in"
	: > "$T/out"
	qbx-vm run --box "$T/box.json" -- sh < "$T/in" >> "$T/out" 2> "$T/err" &
	shell=$!
	exec 9> "$T/in"
}

ask() {
	: > "$T/out"
	printf '%s\necho "=== $?"\n' "$1" >&9
	SECONDS=0
	until grep -qa '^=== ' "$T/out"; do
		[ "$SECONDS" -lt 120 ] || { echo "no answer to: $1"; cat "$T/err"; return 1; }
		sleep 0.1
	done
	grep -av '^=== ' "$T/out" || :
	grep -qax '=== 0' "$T/out"
}

shell_end() {
	exec 9>&-
	wait "$shell"
	[ ! -s "$T/err" ] || { cat "$T/err"; false; }
}

# qmp COMMAND [ARGUMENTS]: what QEMU returns
qmp() {
	coproc MONITOR { socat - "UNIX-CONNECT:$dir/qmp.sock"; }
	in=${MONITOR[0]} out=${MONITOR[1]} pid=$MONITOR_PID
	printf '{"execute":"qmp_capabilities"}{"execute":"%s","arguments":%s}' "$1" "${2:-{\}}" >&"$out"
	answers=0
	while [ "$answers" -lt 2 ] && read -r line <&"$in"; do
		case $line in '{"return"'* | '{"error"'*) answers=$((answers + 1)) ;; esac
	done
	exec {out}>&-
	wait "$pid" || :
	jq -ce .return <<< "$line"
}

# within SECONDS COMMAND...: until it succeeds
within() {
	limit=$1
	shift
	SECONDS=0
	until "$@"; do
		[ "$SECONDS" -lt "$limit" ] || { echo "not within $limit s: $*"; return 1; }
		sleep 0.1
	done
}

# What the guest's memory takes on the host, in MiB.
resident() {
	echo $(($(awk '/^(RssAnon|RssShmem):/ { sum += $2 } END { print sum }' \
		"/proc/$(jq .pid "$dir/vm.json")/status") / 1024))
}

# boots_with_every_qemu MACHINE N: a small box, and one that has so many disks that no slot is left
boots_with_every_qemu() {
	export QEMUBOX_MACHINE=$1
	found=$(qemus)
	[ "${QEMUBOX_ACCEL:-}" != tcg ] || [ "$(wc -l <<< "$found")" -eq 3 ] ||
		{ echo "not all are there: make others"; false; }
	mkdir "$T/volume"
	echo shared > "$T/volume/file"
	with ".spec.mounts += [{destination: \"/volume\", type: \"bind\", source: \"$T/volume\", options: [\"rbind\"]}]"
	qbx-fs prepare < "$T/box.json" > "$T/shared.json"
	truncate -s 1M "$T/disk"
	jq --argjson n "$2" --arg p "$T/disk" '.fs.disks += [range($n - (.fs.disks | length)) |
		{serial: "more\(.)", path: $p}]' "$T/shared.json" > "$T/full.json"
	for qemu in $found; do
		echo "$1 on $("$qemu" --version | head -n 1)"
		QEMUBOX_QEMU_PATH=$qemu qbx-vm run --box "$T/shared.json" --report "$T/report" -- \
			sh -c 'uname -s; cat /volume/file' > "$T/out"
		[ "$(cat "$T/out")" = $'Linux\nshared' ]
		[ "$(jq -r .vm.machine "$T/report")" = "$1" ]
		QEMUBOX_QEMU_PATH=$qemu qbx-vm run --box "$T/full.json" -- \
			sh -c 'cat /volume/file; grep -h . /sys/block/vd*/serial | sort -u | wc -l' > "$T/out"
		[ "$(xargs < "$T/out")" = "shared $2" ]
	done
}

@test "a box runs on microvm, with every QEMU" {
	boots_with_every_qemu microvm 20
}

@test "a box runs on q35, with every QEMU" {
	export QEMUBOX_MEMORY_MAX_MIB=1024
	boots_with_every_qemu q35 72
}

@test "processors beyond the first wait until they are wanted" {
	export QEMUBOX_VCPUS_MAX=8
	truncate -s 1M "$T/disk"
	for kind in microvm:0 microvm:6 q35:0; do # with six disks more it has ACPI
		IFS=: read -r machine disks <<< "$kind"
		with ".spec.annotations = {\"io.qemubox.vcpus\": \"2\", \"io.qemubox.vcpus-max\": \"3\",
			\"io.qemubox.machine\": \"$machine\"} |
			.fs.disks += [range($disks) | {serial: \"more\\(.)\", path: \"$T/disk\"}]"
		qbx-vm run --box "$T/box.json" --report "$T/report" -- \
			sh -c 'cd /sys/devices/system/cpu; cat possible present online' > "$T/out"
		[ "$(jq -c '.vm | [.machine, .vcpus, .vcpus_max]' "$T/report")" = "[\"$machine\",2,3]" ]
		# under KVM they are plugged into a q35
		present=0-2
		[ "$machine $(jq -r .vm.accel "$T/report")" != 'q35 kvm' ] || present=0-1
		[ "$(xargs < "$T/out")" = "0-2 $present 0-1" ]
	done
}

# queues PLUGIN [COMMAND...]: on that network, what a guest says of its interface, to $T/out; when the network
# is made, the command makes 10.79.0.1 reachable
queues() {
	export QEMUBOX_CNI_CONF_DIR=$T/net.d QEMUBOX_VCPUS_MAX=2
	mkdir -p "$QEMUBOX_CNI_CONF_DIR"
	jq -cn --argjson plugin "$1" --arg ipam "$T/ipam" '{cniVersion: "1.0.0", name: "e2e", plugins: [$plugin + {
		ipam: {type: "host-local", dataDir: $ipam, subnet: "10.79.0.0/24"}}]}' > "$T/net.d/1.conflist"
	qbx-net add < "$T/box.json" > "$T/joined.json"
	status=0
	qbx-net check < "$T/joined.json" || status=$?
	"${@:2}"
	qbx-vm run --box "$T/joined.json" -- sh -c 'cd /sys/class/net/eth0; ls queues
		grep virtio /proc/interrupts; ping -qc 3 10.79.0.1' > "$T/out" || status=$?
	qbx-net del < "$T/joined.json" > /dev/null
	[ "$status" -eq 0 ] || { cat "$T/out"; false; }
}

@test "an interface has a queue for each processor that the box begins with" {
	for size in microvm:2 q35:2 microvm:1; do
		IFS=: read -r machine queues <<< "$size"
		with ".spec.annotations = {\"io.qemubox.vcpus\": \"$queues\", \"io.qemubox.machine\": \"$machine\"} |
			.spec.process.capabilities[] += [\"CAP_NET_RAW\"]"
		queues '{"type": "bridge", "bridge": "qbx9", "isGateway": true}'
		[ "$(grep -c '^tx-' "$T/out")" -eq "$queues" ]
		[ "$(grep -c '^rx-' "$T/out")" -eq "$queues" ]
		# on PCI each has its own interrupt
		[ "$machine" != q35 ] || [ "$(grep -c -- '-input\.' "$T/out")" -eq "$queues" ]
	done
	ip link del qbx9
}

@test "a TAP of several queues that a plugin made is used, by a box of one processor as well" {
	# in place of the address that the guest has, one for it to find
	other_end() {
		ip -n default--demo address flush dev net0
		ip -n default--demo address add 10.79.0.1/24 dev net0
	}
	for vcpus in 1 2; do
		with ".spec.annotations[\"io.qemubox.vcpus\"] = \"$vcpus\" |
			.spec.process.capabilities[] += [\"CAP_NET_RAW\"]"
		queues '{"type": "tap", "multiQueue": true}' other_end
		[ "$(grep -c '^tx-' "$T/out")" -eq "$vcpus" ]
		[ "$(jq -c '.net.links[0].queues' "$T/joined.json")" = "$vcpus" ]
	done
}

@test "a container has all the memory of its limit, and no more" {
	for machine in microvm q35; do
		with ".machine = \"$machine\" | .spec.linux.resources.memory.limit = 300 * 1048576"
		qbx-vm run --box "$T/box.json" --report "$T/report" -- \
			dd if=/dev/zero of=/dev/null bs=280M count=1
		[ "$(jq -c '.vm | [.memory_mib, .memory_max_mib]' "$T/report")" = '[384,384]' ]
		run -137 qbx-vm run --box "$T/box.json" -- dd if=/dev/zero of=/dev/null bs=310M count=1
	done
}

@test "memory that the guest frees goes back to the host" {
	cp "$BOX" "$T/box.json"
	for machine in microvm q35; do
		export QEMUBOX_MACHINE=$machine
		rm -f "$T/in"
		shell_start
		ask 'dd if=/dev/zero of=/file bs=1M count=200 2> /dev/null'
		full=$(resident)
		ask 'rm /file'
		given_back() { [ "$(resident)" -lt $((full - 150)) ]; }
		within 30 given_back
		echo "$machine: $full MiB, then $(resident)"
		shell_end
	done
}

@test "a q35's memory grows and shrinks" {
	cp "$BOX" "$T/box.json"
	export QEMUBOX_MACHINE=q35 QEMUBOX_MEMORY_MAX_MIB=1536
	shell_start
	total() { ask 'sed -n "s/^MemTotal: *\([0-9]*\) .*/\1/p" /proc/meminfo'; }
	before=$(total)
	requested='{"path":"/machine/peripheral/vmem0","property":"requested-size"'
	plugged() { [ "$(qmp qom-get '{"path":"/machine/peripheral/vmem0","property":"size"}')" = "$1" ]; }
	plugged 0
	qmp qom-set "$requested,\"value\":$((1024 << 20))}"
	within 60 plugged $((1024 << 20))
	[ "$(total)" -gt $((before + 1000 * 1024)) ]
	# more than there was to begin with
	ask 'dd if=/dev/zero of=/dev/null bs=700M count=1 2> /dev/null'
	qmp qom-set "$requested,\"value\":0}"
	within 60 plugged 0
	[ "$(total)" -le "$before" ]
	shell_end
}

@test "a q35's guest that panics is quoted" {
	mkdir -p "$T/share/kernel"
	cp /usr/share/qemubox/kernel/* "$T/share/kernel"
	: > "$T/share/kernel/qemubox-initrd"
	QEMUBOX_MACHINE=q35 QEMUBOX_SHARE_DIR=$T/share run -69 --separate-stderr qbx-vm start --box "$BOX"
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *'Kernel panic'* ]]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}

@test "a box that is too large for the host is not started" {
	with '.spec.linux.resources.memory.limit = 9007199254740992'
	run -69 --separate-stderr qbx-vm start --box "$T/box.json"
	[[ $stderr == *'MiB of memory, but the host has'* ]]
	run -69 qbx-vm size --box "$T/box.json"
}
