#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-vm in a test host: the real QEMU, vsock daemon, kernel and guest.

bats_require_minimum_version 1.5.0

load vms

dir=/run/qemubox/default--demo
transport=vhost-user
[ ! -e /dev/vhost-vsock ] || transport=vhost-vsock

box() {
	qbx-vm run --box "$BOX" -- "$@"
}

# Wait until a file has that line.
line_in() {
	SECONDS=0
	until grep -qs "$1" "$2"; do
		[ "$SECONDS" -lt 120 ] || { echo "no \"$1\" in $2"; return 1; }
		sleep 0.1
	done
}

# bats test_tags=kvm
@test "start, status and stop of a VM that goes on without us" {
	qbx-vm start < "$BOX" > "$T/out"
	pid=$(jq .vm.pid "$T/out")
	[ "$(jq -r .vm.guest.kernel "$T/out" | cut -d. -f1)" -ge 6 ]
	[ "$(jq -c '[.vm.accel, .vm.machine, .vm.vsock.transport]' "$T/out")" = \
		"[\"${QEMUBOX_ACCEL:-kvm}\",\"microvm\",\"$transport\"]" ]
	[ "$(jq -c '.vm.t_us | keys' "$T/out")" = '["boot","spawn"]' ]
	qbx-vm status < "$T/out" > "$T/status"
	[ "$(jq -r '.state + " " + .qemu' "$T/status")" = 'running running' ]
	[ "$(jq .pid "$T/status")" = "$pid" ]
	# seccomp is on, and QEMU is nobody's child any more
	[ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ]
	[ "$(awk '{ print $6 }' "/proc/$pid/stat")" = "$pid" ]
	[ ! -s "$dir/qemu.log" ] || cat "$dir/qemu.log"
	qbx-vm stop < "$T/out" > "$T/stopped"
	[ "$(jq .vm "$T/stopped")" = null ]
	[ ! -e "/proc/$pid" ]
}

# bats test_tags=kvm
@test "only the one who has the token gets in" {
	qbx-vm start < "$BOX" > "$T/out"
	# Right port, wrong token: the guest closes (a reset is a close, too) and still serves us. One
	# who got in would wait for as long as we do. The input has no end, as the guest would close
	# for that, too.
	to=UNIX-CONNECT:$dir/vsock/vsock.sock
	[ "$transport" = vhost-user ] || to=VSOCK-CONNECT:$(jq .vm.vsock.cid "$T/out"):1024
	mkfifo "$T/says" "$T/hears"
	exec 6<> "$T/says"
	timeout 60 socat - "$to" < "$T/says" > "$T/hears" 6>&- &
	pid=$!
	exec 5< "$T/hears"
	if [ "$transport" = vhost-user ]; then
		printf 'CONNECT 1024\n' >&6
		read -r -u 5 ok
		[[ $ok == OK* ]]
	fi
	head -c 32 /dev/zero >&6
	cat <&5 > "$T/answer"
	status=0
	wait $pid || status=$?
	exec 5<&- 6>&-
	[ "$status" -ne 124 ]
	[ ! -s "$T/answer" ]
	line_in 'port 1024: wrong token' "$dir/console.log"
	qbx-vm stop < "$T/out" > /dev/null
}

@test "run has the container's output, errors and status" {
	# shellcheck disable=SC2016
	run -7 --separate-stderr box sh -c 'echo "$1"; echo err >&2; exit 7' sh 'a  b'
	[ "$output" = 'a  b' ]
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$stderr" = err ]
	qbx-vm run --box "$BOX" --report "$T/report" -- true
	[ "$(jq -c '.vm.t_us | keys' "$T/report")" = '["boot","create","run","spawn","start","stop"]' ]
	[ "$(jq -c .vm.exit_status "$T/report")" = 0 ]
}

# bats test_tags=kvm
@test "not a byte of output is lost" {
	box seq 1 1000 > "$T/lines"
	cmp "$T/lines" <(seq 1 1000)
	# shellcheck disable=SC2016
	box sh -c 'head -c 8388608 /dev/urandom | tee /dev/stderr | sha256sum' > "$T/sum" 2> "$T/bytes"
	[ "$(sha256sum < "$T/bytes")" = "$(cat "$T/sum")" ]
}

@test "stdin is the container's when the document comes from a file, else it is empty" {
	head -c 3000000 /dev/urandom > "$T/bytes"
	box cat < "$T/bytes" > "$T/back"
	cmp "$T/bytes" "$T/back"
	qbx-vm run -- cat < "$BOX" > "$T/none"
	[ ! -s "$T/none" ]
	box sh -c 'echo done' < /dev/zero > "$T/out" # never ends, and nobody reads it
	[ "$(cat "$T/out")" = 'done' ]
}

@test "a command that cannot run is 127 or 126, a box that fails is 125" {
	run -127 --separate-stderr box nosuch
	[[ $stderr == *nosuch* ]]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
	run -126 box /bin/noexec
	run -126 box /tmp
	jq '.fs.mounts = []' "$BOX" > "$T/bad.json"
	run -125 qbx-vm run --box "$T/bad.json" -- true
}

@test "an output that nobody reads ends the container" {
	box yes 2> /dev/null | head -n 1 > "$T/out"
	[ "$(cat "$T/out")" = y ]
	# a PID 1 that does not care for SIGPIPE
	{ box sh -c 'while :; do echo y; done 2> /dev/null' || echo $? > "$T/status"; } | head -n 1 > "$T/out"
	[ "$(cat "$T/status")" = 141 ]
	box echo y >&-
}

@test "signals reach the container, and the third one ends a deaf one" {
	qbx-vm run --box "$BOX" -- sh -c 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.1; done' > "$T/out" &
	pid=$!
	line_in ready "$T/out"
	kill -TERM $pid
	code=0
	wait $pid || code=$?
	[ "$code" -eq 3 ]
	[ "$(tail -n 1 "$T/out")" = got ]
	qbx-vm run --box "$BOX" -- sh -c 'trap "echo int" INT; echo ready; while :; do sleep 0.1; done' > "$T/out" &
	pid=$!
	line_in ready "$T/out"
	# bats starts background commands with SIGINT ignored, as every shell does
	for sig in TERM HUP TERM; do kill -$sig $pid; sleep 0.3; done
	code=0
	wait $pid || code=$?
	[ "$code" -eq 143 ]
}

# bats test_tags=kvm
@test "a VM that dies under the container is 125, and says why" {
	qbx-vm run --box "$BOX" -- sh -c 'echo ready; sleep 1000' > "$T/out" 2> "$T/err" &
	pid=$!
	line_in ready "$T/out"
	kill -KILL "$(jq .pid "$dir/vm.json")"
	code=0
	wait $pid || code=$?
	[ "$code" -eq 125 ]
	grep -q 'QEMU was ended by signal 9' "$T/err"
	[ "$(wc -l < "$T/err")" -eq 1 ]
}

@test "the VM dies with a run that is killed, and stop clears up" {
	qbx-vm run --box "$BOX" -- sh -c 'echo ready; sleep 1000' > "$T/out" &
	pid=$!
	line_in ready "$T/out"
	qemu=$(jq .pid "$dir/vm.json")
	kill -KILL $pid
	wait $pid || :
	timeout 10 tail --pid="$qemu" -f /dev/null
	qbx-vm stop < "$BOX" > /dev/null
}

@test "a guest that panics is quoted" {
	mkdir -p "$T/share/kernel"
	cp /usr/share/qemubox/kernel/* "$T/share/kernel"
	: > "$T/share/kernel/qemubox-initrd"
	QEMUBOX_SHARE_DIR=$T/share run -69 --separate-stderr qbx-vm start --box "$BOX"
	[[ $stderr == *'Kernel panic'* ]]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}

@test "the container is confined as the default specification says" {
	# shellcheck disable=SC2016
	box sh -c 'grep -E "^(CapEff|NoNewPrivs|Seccomp)" /proc/self/status; hostname
		cat /proc/1/comm; cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.controllers
		echo x > /proc/sys/kernel/hostname' > "$T/out" 2> "$T/err" || :
	grep -q '^CapEff:.*00000000a80425fb' "$T/out"
	grep -q '^NoNewPrivs:.*1' "$T/out"
	grep -qx demo "$T/out"
	grep -qx '0::/' "$T/out"
	grep -q 'cgroup.controllers' "$T/out"
	grep -q 'Read-only' "$T/err"
}

@test "the manual's examples work" {
	cd "$T"
	jq 'del(.fs)' "$BOX" > box.json
	manual=$(sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "/usr/share/man/man8/qbx-vm.8")
	sed -n '/^\.Bd/,/^\.Ed/p' <<< "$manual" | grep -v '^\.' > commands
	[ "$(grep -c qbx-vm commands)" -ge 5 ]
	sed 's/^/set -e; /' commands > all
	QEMUBOX_CNI_CONF_DIR=/nonexistent sh -e all > out
	grep -q '^Linux demo ' out
	qbx-net del --box box.json > /dev/null
}
