#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The task API as containerd may use it, and as nobody should: codes, concurrency, broken frames.

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0

load boxes

# up ID [CMD...]: a box that runs; its ctr is $pid
up() {
	mkfifo "$1.ready"
	box "$1" sh -c "echo up; ${2:-exec sleep 1000}" > "$1.ready" &
	pid=$!
	read -r _ < "$1.ready"
}

# down ID: end that box, and its ctr
down() {
	ctr task kill --signal SIGKILL "$1"
	wait "$pid" || :
}

# fails CODE ID METHOD [FIELD=VALUE]...: that call of the shim of that box
fails() {
	local code=$1
	shift
	run --separate-stderr shimctl call "$@"
	[ "$status" -eq 99 ] || { echo "$*: status $status, $output"; return 1; }
	[[ $stderr == "shimctl: code $code: "?* ]] || { echo "$*: $stderr"; return 1; }
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a task that is unknown, by version 2 and 3" {
	up known
	for method in Start Wait State Kill Delete CloseIO Pids Update; do
		fails 5 known $method id=unknown
	done
	for method in Start Wait State Kill Delete CloseIO; do
		fails 5 known $method id=known exec_id=unknown
	done
	run shimctl call known Connect id=unknown
	[ "$status" -eq 0 ]
	[[ $output == *$'\ntask_pid=0\n'* ]]
	[ "$(shimctl call known Connect id=known | sed -n 's/^task_pid=//p')" -gt 0 ]
	socket=$(socket known)
	run "$BATS_TEST_DIRNAME/../../${QBX_BUILD:-build}/tests/e2e/shimctl" call -2 "$socket" State id=known
	[ "$status" -eq 0 ]
	[[ $output == *$'\nstatus=2\n'* ]]
	down known
}

@test "the wrong state, the wrong argument" {
	up states
	fails 9 states Start id=states  # it runs
	fails 9 states Delete id=states # it runs
	fails 6 states Create id=states bundle=/x
	fails 3 states Create id=a/b bundle=/x
	fails 3 states Update id=states resources=types.containerd.io/opencontainers/runtime-spec/1/LinuxResources <<< '{'
	fails 3 states Kill id=states signal=99
	# Shutdown is nothing while there is a task.
	shimctl call states Shutdown id=states
	[ "$(shimctl call states State id=states | sed -n 's/^status=//p')" = 2 ]
	# A second CloseIO is as good as one.
	shimctl call states CloseIO id=states stdin=true
	shimctl call states CloseIO id=states stdin=true
	down states
}

@test "after the exit: Wait at once and again, State, Kill, Delete straight after Wait" {
	watch
	timeout 120 ctr run -d --null-io --snapshotter "$containerd_snapshotter" --runtime "$runtime" \
		"$image" over sh -c 'exit 7' 3>&-
	await /tasks/exit over
	for _ in 1 2; do
		run shimctl call over Wait id=over
		[[ $output == 'exit_status=7'$'\n''exited_at.seconds='* ]]
	done
	exited=$(sed -n 's/^exited_at\.//p' <<< "$output")
	run shimctl call over State id=over
	[[ $output == *$'\nstatus=3\n'*$'\nexit_status=7\n'* ]]
	[ "$(sed -n 's/^exited_at\.//p' <<< "$output")" = "$exited" ]
	fails 5 over Kill id=over signal=9
	fails 9 over Start id=over
	# Behind containerd's back, which learns of it when the shim goes, and then cleans up.
	run shimctl call over Wait id=over , Delete id=over
	[ "$status" -eq 0 ]
	[ "$(grep -c '^exit_status=7$' <<< "$output")" -eq 2 ]
	[ "$(sed -n 's/^exited_at\.//p' <<< "$output")" = "$exited"$'\n'"$exited" ]
	fails 5 over Wait id=over
	fails 5 over Delete id=over
	await /tasks/delete over
	shimctl call over Shutdown id=over
	await /tasks/delete over
	ctr container rm over
	unwatch
}

@test "200 Waits at once, on one connection and on many" {
	up waited
	mkfifo one many
	shimctl waits waited waited 200 1 > one 3>&- &
	shimctl waits waited waited 10 20 > many 3>&- &
	exec 6< one 7< many
	read -r -t 60 -u 6 line
	[ "$line" = waiting ]
	read -r -t 60 -u 7 line
	[ "$line" = waiting ]
	# Others come and go, and are answered.
	shimctl call waited State id=waited > state
	grep -q '^status=2$' state
	down waited
	read -r -t 60 -u 6 line
	[ "$line" = '200 with status 137' ]
	read -r -t 60 -u 7 line
	[ "$line" = '200 with status 137' ]
	exec 6<&- 7<&-
}

@test "who waits and goes away is forgotten" {
	up left
	socket=$(socket left)
	serving=$(pgrep -f 'containerd-shim-qemubox-v1 .*-id left ')
	before=$(find "/proc/$serving/fd" -type l | wc -l)
	for _ in 1 2 3 4 5 6 7 8; do
		shimctl raw left id:1:Wait:left id:3:State:left read:1 > answer
		[ "$(cat answer)" = '3 0' ]
	done
	# The last one's State was answered; so the ones before are closed.
	[ "$(find "/proc/$serving/fd" -type l | wc -l)" -le $((before + 1)) ]
	down left
}

@test "frames as they should not be, each told on its stream, and the connection lives" {
	up frames
	# Even, again, going down: 3. Then one as it should be.
	run shimctl raw frames id:2:State:frames read:1 id:5:State:frames read:1 id:5:State:frames read:1 \
		id:3:State:frames read:1 id:7:State:frames read:1
	[ "$output" = $'2 3\n5 0\n5 3\n3 3\n7 0' ]
	# A service and a method that are not there.
	run shimctl raw frames call:1:containerd.task.v9.Task/State read:1 \
		call:3:containerd.task.v3.Task/Checkpoint read:1 call:5:containerd.task.v3.Task/ read:1 \
		id:7:State:frames read:1
	[ "$output" = $'1 12\n3 12\n5 12\n7 0' ]
	# 4 MiB and a byte, of a request on stream 1: it is skipped.
	run shimctl raw frames bytes:00400001000000010100 zeros:4194305 read:1 id:3:State:frames read:1
	[ "$output" = $'1 8\n3 0' ]
	# 4 GiB less a byte are announced, and do not come.
	run shimctl raw frames bytes:ffffffff000000010100 zeros:100000 read:1
	[ "$output" = '1 8' ]
	# A request, and a payload, that do not parse.
	run shimctl raw frames bytes:00000002000000010100ffff read:1 payload:3:State:0aff read:1 \
		id:5:State:frames read:1
	[ "$output" = $'1 3\n3 3\n5 0' ]
	# Data, a response and an unknown type, which nobody asked for, are nothing.
	run shimctl raw frames bytes:00000001000000010300aa bytes:00000001000000010200aa \
		bytes:00000001000000010900aa id:1:State:frames read:1
	[ "$output" = '1 0' ]
	down frames
}

@test "who goes away in the middle of a frame, or talks rubbish, harms nobody" {
	up rubbish
	shimctl raw rubbish bytes:0000
	shimctl raw rubbish bytes:00001000000000010100 zeros:17
	shimctl raw rubbish bytes:00000005000000010100
	for _ in 1 2 3 4 5 6 7 8; do
		shimctl raw rubbish "bytes:$(head -c 1000 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"
	done
	[ "$(shimctl call rubbish State id=rubbish | sed -n 's/^status=//p')" = 2 ]
	[ "$(ctr task ls | awk '$1 == "rubbish" { print $3 }')" = RUNNING ]
	down rubbish
}

@test "State, Connect and Pids are answered while another call hangs on a guest that stands still" {
	up still
	qemu=$(ctr task ls | awk '$1 == "still" { print $2 }')
	kill -STOP "$qemu"
	shimctl call still Kill id=still signal=10 > killed 2>&1 3>&- &
	hanging=$!
	for method in State Connect Pids; do
		timeout 5 "$BATS_TEST_DIRNAME/../../${QBX_BUILD:-build}/tests/e2e/shimctl" call -t \
			"$(socket still)" $method id=still > answer
		ms=$(sed -n 's/^ms=//p' answer)
		[ "$ms" -lt 1000 ]
	done
	kill -0 "$hanging" # all that time
	kill -CONT "$qemu"
	wait "$hanging"
	down still
}

# bats test_tags=kvm
@test "a guest that is slow to take the streams of an exec" {
	up slow
	qemu=$(ctr task ls | awk '$1 == "slow" { print $2 }')
	kill -STOP "$qemu"
	ctr task exec --exec-id late slow echo made > out 3>&- &
	exec=$!
	sleep 3 # longer than a connection's own patience
	kill -0 "$exec"
	kill -CONT "$qemu"
	wait "$exec"
	[ "$(cat out)" = made ]
	down slow
}
