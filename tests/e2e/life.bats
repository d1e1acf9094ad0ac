#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The life and death of a VM that containerd runs: steered by hand, and ended in every way there is.
# What is in single quotes is for the shell in the container; variables stay within a test, and a file
# that is compared is only read.
# shellcheck disable=SC2016,SC2030,SC2031,SC2094

bats_require_minimum_version 1.5.0

export config='{"console_max_kib": 64}' # soon reached, also where a guest's console is slow

load boxes

run_dir=/run/qemubox

# up ID [CMD...]: a box in the background; returns when it says "up". Sets pid, qemu and dir.
up() {
	local id=$1
	shift
	[ $# -gt 0 ] || set -- sh -c 'echo up; exec sleep 1000'
	mkfifo "$id.out"
	box "$id" "$@" > "$id.out" &
	pid=$!
	read -r _ < "$id.out"
	dir=$run_dir/default--$id
	qemu=$(jq .pid "$dir/vm.json")
}

# down: end it as users do
down() {
	ctr task kill --signal SIGKILL "$1"
	wait "$pid" || :
}

# ended ID REASON [SECONDS]: the task of the box in $pid ends with 137 in time, for that reason. How
# soon it was told is printed; the bound only says that it was told by an event.
ended() {
	local status=0 begun=$EPOCHREALTIME took seconds=${3:-$(soon)}
	wait "$pid" || status=$?
	took=$((${EPOCHREALTIME/./} - ${begun/./}))
	echo "# $1: $2 told after $((took / 1000)) ms"
	jq -c .end "/var/log/qemubox/default--$1.json"
	[ "$status" -eq 137 ]
	[ "$took" -lt $((seconds * 1000000)) ]
	[ "$(jq -r .end.reason "/var/log/qemubox/default--$1.json")" = "$2" ]
}

# The kernel of the box in $dir comes to grief as poke.pl knows how.
poke() {
	local answer=''
	coproc socat - "UNIX-CONNECT:$dir/qmp.sock"
	cat >&"${COPROC[1]}" <<- 'END'
		{"execute":"qmp_capabilities"}
		{"execute":"human-monitor-command","arguments":{"command-line":"gdbserver tcp:127.0.0.1:1234"}}
	END
	until [[ $answer == *'Waiting for gdb'* ]]; do read -r -t 60 answer; done <&"${COPROC[0]}"
	kill "$COPROC_PID"
	ip netns exec "$(basename "$dir")" perl "$BATS_TEST_DIRNAME/poke.pl" 1234 "$1"
}

# KVM on a host that is a virtual machine itself
nested() {
	[ "${QEMUBOX_ACCEL:-kvm}" = kvm ] && grep -qw hypervisor /proc/cpuinfo
}

soon() {
	if nested; then echo 30; else echo 8; fi
}

# There, and under TCG, a guest is given more time to answer before it counts as hung.
hang_s() {
	if nested || [ "${QEMUBOX_ACCEL:-kvm}" = tcg ]; then echo 30; else echo 4; fi
}

@test "QEMU that is killed, or crashes, or is asked to end" {
	up killed
	kill -KILL "$qemu"
	ended killed killed
	[ "$(jq .end.signal /var/log/qemubox/default--killed.json)" = 9 ]
	up crashed
	kill -SEGV "$qemu"
	ended crashed crash
	[ "$(jq .end.signal /var/log/qemubox/default--crashed.json)" = 11 ]
	up quit
	kill -TERM "$qemu"
	ended quit quit
	# the shim's own log says it too
	logged 'task crashed: .*signal 11 (SIGSEGV)'
}

@test "a guest's kernel that panics is quoted" {
	up panics
	poke panic
	ended panics panic
	jq -e '.end.console | any(test("Kernel panic - not syncing"))' \
		/var/log/qemubox/default--panics.json
	logged 'task panics: .*kernel panicked'
	jq -e --slurpfile schema "$BATS_TEST_DIRNAME/../schema/end.json" '
		$schema[0].properties as $p | .end
		| (keys - ($p | keys) == []) and (.reason | IN($p.reason.enum[]))
		and (.console | length <= $p.console.maxItems)
	' /var/log/qemubox/default--panics.json
}

@test "a triple fault" {
	up resets
	poke reset
	ended resets reset
}

@test "a kernel that hangs" {
	up hangs
	poke hang
	ended hangs hang "$(hang_s)"
}

@test "a pause is no hang, however long, and neither is a QEMU that is stopped" {
	up paused
	first=$pid
	up stopped
	stopped=$qemu
	box=$run_dir/default--paused/box.json
	qbx-vm pause --box $box > /dev/null
	qbx-vm pause --box $box > /dev/null
	kill -STOP "$stopped"
	run -0 qbx-vm status --box $box
	[ "$(jq -r .state <<< "$output")" = paused ]
	sleep $(($(hang_s) / 2))
	qbx-vm resume --box $box > /dev/null
	qbx-vm resume --box $box > /dev/null
	kill -CONT "$stopped"
	run -0 qbx-vm status --box $box
	[ "$(jq -r .state <<< "$output")" = running ]
	for id in paused stopped; do
		qbx-vm exec --box $run_dir/default--$id/box.json -- echo alive < /dev/null
	done
	down stopped
	pid=$first
	down paused
}

@test "a guest that gets hardly any processor is not taken for hung" {
	up starves
	taskset -acp 0 "$qemu" > /dev/null
	for i in $(seq 12); do
		taskset -c 0 sh -c 'while :; do :; done' 3>&- &
		load[i]=$!
	done
	sleep $(($(hang_s) / 2))
	kill "${load[@]}"
	kill -0 "$qemu"
	[ "$(qbx-vm exec --box "$dir/box.json" -- echo alive < /dev/null)" = alive ]
	down starves
}

@test "stop takes each rung, and waits for nothing that is dead" {
	up dead
	# a guest that does not answer: QEMU is asked
	qbx-vm pause --box "$dir/box.json" > /dev/null
	qbx-vm stop --debug --box "$dir/box.json" 2> err > /dev/null
	grep -q 'the guest cannot be asked' err
	run ! grep -q 'QEMU cannot be asked' err
	[ ! -e "/proc/$qemu" ]
	wait "$pid" || :
	# nor does QEMU: it is killed
	up deader
	kill -STOP "$qemu"
	timeout 60 qbx-vm stop --debug --box "$dir/box.json" 2> err > /dev/null
	grep -q 'QEMU cannot be asked' err
	[ ! -e "/proc/$qemu" ]
	wait "$pid" || :
}

@test "events: one object a line until the VM ends, and one listener" {
	up tells
	qbx-vm events --box "$dir/box.json" > events 3>&- &
	listener=$!
	sleep 1
	run -75 --separate-stderr qbx-vm events --box "$dir/box.json"
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *'one listener at a time'* ]]
	qbx-vm pause --box "$dir/box.json" > /dev/null
	qbx-vm resume --box "$dir/box.json" > /dev/null
	down tells
	wait $listener
	[ "$(jq -r .event events | head -n 2 | xargs)" = 'STOP RESUME' ]
	[ "$(jq -r .event events | tail -n 1)" = SHUTDOWN ]
	[ "$(jq -r 'select(.event == "SHUTDOWN") | .data.guest' events)" = true ]
	run -69 --separate-stderr qbx-vm events --box /var/log/qemubox/default--tells.json
	[[ $stderr == *'does not run'* ]]
}

@test "exec by hand beside the shim" {
	up works
	ex() { qbx-vm exec --box "$dir/box.json" -- "$@"; }
	run -7 --separate-stderr ex sh -c 'echo "$1"; hostname; echo err >&2; exit 7' sh 'a  b' < /dev/null
	[ "$output" = $'a  b\nworks' ]
	[ "$stderr" = err ]
	head -c 3000000 /dev/urandom > bytes
	[ "$(ex sha256sum < bytes)" = "$(sha256sum < bytes)" ]
	ex cat < bytes | cmp - bytes
	run -127 --separate-stderr ex nosuch < /dev/null
	[[ $stderr == *nosuch* ]]
	run -126 ex /etc/passwd < /dev/null
	run -137 ex sh -c 'kill -9 $$' < /dev/null
	# many short ones: none is lost, and none is left
	for i in $(seq 70); do ex true < /dev/null; done
	[ "$(ex sh -c 'ps | grep -c "[s]leep 1000"' < /dev/null)" = 1 ]
	# a signal is passed on
	qbx-vm exec --box "$dir/box.json" -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
		< /dev/null > ready 3>&- &
	exec_pid=$!
	until grep -qs ready ready; do sleep 0.1; done
	kill -TERM $exec_pid
	status=0
	wait $exec_pid || status=$?
	[ "$status" -eq 9 ]
	# and the end of the container is the end of them all
	ex sh -c 'echo ready; exec sleep 1000' < /dev/null > ready2 3>&- &
	exec_pid=$!
	until grep -qs ready ready2; do sleep 0.1; done
	down works
	status=0
	wait $exec_pid || status=$?
	[ "$status" -ne 0 ]
	run -125 --separate-stderr qbx-vm exec --box /var/log/qemubox/default--works.json -- true
	[[ $stderr == *'does not run'* ]]
}

@test "list, status and logs" {
	[ "$(qbx-vm list -j)" = '[]' ]
	up listed
	[ "$(qbx-vm list -j | jq -c '.[] | [.id, .namespace, .state, .qemu]')" = '["listed","default","running","running"]' ]
	[ "$(qbx-vm status --box "$dir/box.json" | jq '.up_s >= 0 and .vcpus >= 1 and .memory_mib > 0')" = true ]
	[ "$(qbx ps | awk 'NR == 2 { print $1, $2, $3, $4 }')" = "default listed running $qemu" ]
	printf 'one\033[2J\r\ntwo\302\233\n' >> "$dir/console.log"
	[ "$(qbx logs listed)" = $'one?[2J\ntwo??' ]
	[ "$(qbx logs)" = "$(qbx logs default/listed)" ]
	run -125 qbx logs nosuch
	down listed
	[ "$(qbx ps | wc -l)" -eq 1 ]
}

@test "a console that is flooded stays small, and the shim answers" {
	mkfifo floods.out
	box --privileged floods sh -c 'mknod /hvc0 c 229 0; echo up; yes 0123456789 > /hvc0' > floods.out &
	pid=$!
	read -r _ < floods.out
	dir=$run_dir/default--floods
	until [ -e "$dir/console.log.1" ]; do sleep 0.1; done
	for i in $(seq 20); do
		[ "$(du -bc "$dir"/console.log* | awk 'END { print $1 }')" -lt $((256 << 10)) ]
		sleep 0.1
	done
	[ "$(timeout 60 ctr task ls | awk '$1 == "floods" { print $3 }')" = RUNNING ]
	qbx logs floods > log
	[ "$(grep -c 0123456789 log)" -gt 1000 ]
	down floods
}
