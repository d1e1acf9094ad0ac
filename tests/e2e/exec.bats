#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Further processes in a container that runs, as containerd's users start them.
# What is in single quotes is for the shell in the container; a file is read when it is whole.
# shellcheck disable=SC2016,SC2094
# shellcheck disable=SC2154 # boxes.bash and tasks.bash set them

bats_require_minimum_version 1.5.0

load boxes
load tasks

@test "its own output, errors, status, input and events" {
	watch
	cat <&5 > heard 3>&- &
	up works
	run -7 --separate-stderr ex works one sh -c 'echo "$1"; hostname; echo err >&2; exit 7' sh 'a  b'
	[ "$output" = $'a  b\nworks' ]
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$stderr" = err ]
	# an id may be had again when it is deleted
	run -0 ex works one true
	head -c 3000000 /dev/urandom > bytes
	[ "$(ex works in sha256sum < bytes)" = "$(sha256sum < bytes)" ]
	ex works cat cat < bytes | cmp - bytes
	# what is not there; and the container goes on
	run ! ex works none nosuch
	[[ $output == *nosuch* ]]
	[ "$(ex works pids sh -c 'ps | grep -c "[s]leep 1000"')" = 1 ]
	down works
	unwatch
	# added, started and ended, in this order, and the container's own end is the last
	grep -o '/tasks/[a-z-]* .*"works".*' heard | sed 's/ .*"exec_id":"\([a-z]*\)".*/ \1/; s/ .*"id":"\([a-z]*\)".*/ \1/; s/ {.*//' |
		grep -E ' one$|/exit|/start|/delete' > told
	[ "$(head -n 4 told | xargs)" = '/tasks/start /tasks/exec-added one /tasks/exec-started one /tasks/exit one' ]
	[ "$(grep exit told | tail -n 1)" = '/tasks/exit works' ]
	[ "$(tail -n 1 told)" = /tasks/delete ]
}

@test "fifty at once" {
	watch
	cat <&5 > heard 3>&- &
	up many
	for i in $(seq 50); do
		ex many "n$i" sh -c 'echo "$1"; exit "$1"' sh "$i" > "out.$i" 2> "err.$i" &
		execs[i]=$!
	done
	for i in $(seq 50); do
		status=0
		wait "${execs[i]}" || status=$?
		[ "$status" -eq "$i" ] || { cat "err.$i"; false; }
		[ "$(cat "out.$i")" = "$i" ]
		[ ! -s "err.$i" ]
	done
	down many
	unwatch
	# of each that it was added, started and ended, in this order, and nothing twice
	for i in $(seq 50); do
		[ "$(grep -E "\"(exec_)?id\":\"n$i\"" heard | grep -o '/tasks/[a-z-]*' | xargs)" = \
			'/tasks/exec-added /tasks/exec-started /tasks/exit' ]
	done
}

@test "signals, pids, and the end of the container" {
	up signals
	mkfifo trap.out
	ex signals trap sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' > trap.out &
	trapper=$!
	read -r _ < trap.out
	[ "$(ctr task ps signals | grep -c .)" = 3 ] # with a heading
	ctr task ps signals | grep -q trap
	ctr task kill --exec-id trap --signal SIGTERM signals
	status=0
	wait $trapper || status=$?
	[ "$status" -eq 9 ]
	mkfifo waits.out
	ex signals waits sh -c 'echo ready; exec sleep 1000' > waits.out &
	waiter=$!
	read -r _ < waits.out
	down signals
	status=0
	wait $waiter || status=$?
	[ "$status" -eq 137 ]
}

@test "none in a container that does not run" {
	ctr container create --snapshotter "$containerd_snapshotter" --runtime "$runtime" "$image" still true
	watch
	ctr task start --detach still 3>&-
	await /tasks/exit '"still"'
	unwatch
	run ! ex still late true
	[[ $output == *'does not run'* ]]
	ctr task rm still
	ctr container rm still
}
