#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Steering boxes by hand, as far as it needs no VM: e2e/life.bats has the rest.

bats_require_minimum_version 1.5.0

load fails

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_CONFIG=$T/config.json QEMUBOX_RUN_DIR=$T/run PATH=$QBX_BIN:$PATH
	export QEMUBOX_ACCEL=tcg QEMUBOX_VSOCK=vhost-user QEMUBOX_SHARE_DIR=$T/share
	export QEMUBOX_QEMU_PATH=/bin/true
	echo '{}' > "$QEMUBOX_CONFIG"
	mkdir -p "$T/share/kernel"
	touch "$T/share/kernel/qemubox-kernel-x86_64" "$T/share/kernel/qemubox-initrd"
	echo '{"qbx":1,"id":"demo"}' > "$T/box.json"
	qbx=$BATS_TEST_DIRNAME/../../bin/qbx
}

# A box whose QEMU is the process $1, and which answers on no socket.
a_box() {
	mkdir -p "$T/run/default--demo"
	jq -cn --argjson pid "$1" --argjson start "$(cut -d' ' -f22 "/proc/$1/stat")" \
		'{pid: $pid, start: $start, vcpus: 2, memory_mib: 640}' > "$T/run/default--demo/vm.json"
}

@test "what does not run cannot be steered" {
	for verb in pause resume events; do
		fails 69 'box default--demo: its VM does not run' $verb --box "$T/box.json"
	done
	fails 125 'does not run' exec --box "$T/box.json" -- true
	fails 125 'exec wants a command' exec --box "$T/box.json"
	a_box $$
	for verb in pause resume; do
		fails 69 "connect to QEMU's monitor" $verb --box "$T/box.json"
	done
	fails 69 'events.sock' events --box "$T/box.json"
}

@test "list knows boxes by their directories" {
	[ "$(qbx-vm list -j)" = '[]' ]
	mkdir -p "$T/run/default--old" "$T/run/not-a-box" "$T/run/a--b--c"
	a_box $$
	[ "$(qbx-vm list -j | jq -c '.[] | [.namespace, .id, .state, .pid, .vcpus]')" = \
		"[\"default\",\"demo\",\"running\",$$,2]
[\"default\",\"old\",\"stopped\",null,null]" ]
	valid vm-status.json <(qbx-vm list -j | jq -c '.[]')
	qbx-vm list -j | jq -e '.[0].up_s >= 0 and (.[0].error | test("monitor"))' > /dev/null
	[ "$(qbx-vm list | awk '{ print $2, $3, $7 }')" = $'ID STATE MIB\ndemo running 640\nold stopped 0' ]
	fails 64 'takes no argument' list more
}

@test "a monitor has to be a socket" {
	for fd in x 1 9 '' 77777777777; do
		fails 64 'is no descriptor of a socket' start --dry-run --monitor "$fd" --box "$T/box.json"
	done
	fails 64 'is no descriptor of a socket' start --dry-run --monitor 7 --box "$T/box.json" 7< /dev/null
	python3 - "$T/box.json" > "$T/plan" <<- 'END'
		import socket, subprocess, sys
		ours, theirs = socket.socketpair()
		sys.exit(subprocess.call(["qbx-vm", "start", "--dry-run", "--monitor", str(theirs.fileno()),
		    "--box", sys.argv[1]], pass_fds=[theirs.fileno()]))
	END
	grep -q 'chardev=monitor,mode=control' "$T/plan"
}

@test "logs are what the console said, old and new, made safe to show" {
	dir=$T/run/default--demo
	run -125 --separate-stderr "$qbx" logs
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *'no box runs'* ]]
	mkdir -p "$dir" "$T/run/other--demo"
	printf 'old\n' > "$dir/console.log.1"
	printf 'a\tb\r\nred\033[31m\302\233\007\n' > "$dir/console.log"
	[ "$("$qbx" logs demo)" = $'old\na\tb\nred?[31m???' ]
	[ "$("$qbx" logs default/demo)" = "$("$qbx" logs demo)" ]
	run -125 --separate-stderr "$qbx" logs
	[[ $stderr == *'several boxes'* ]]
	rmdir "$T/run/other--demo"
	[ "$("$qbx" logs)" = "$("$qbx" logs demo)" ]
	for name in nosuch ../demo x/y/z; do
		run -125 "$qbx" logs "$name"
	done
	# and what comes after
	mkfifo "$T/out"
	timeout 20 "$qbx" logs -f demo > "$T/out" &
	exec 5< "$T/out"
	for want in old $'a\tb' 'red?[31m???'; do
		read -r -u 5 line
		[ "$line" = "$want" ]
	done
	echo more >> "$dir/console.log"
	read -r -u 5 line
	[ "$line" = more ]
	kill %1
	exec 5<&-
}
