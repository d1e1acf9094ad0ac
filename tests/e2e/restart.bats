#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd goes away and comes back, and so do shims; boxes live on, or are cleaned up.
# What is in single quotes is for the shell in the container.
# shellcheck disable=SC2016

# shellcheck disable=SC2154 # boxes.bash sets some variables

bats_require_minimum_version 1.5.0

load boxes

setup() {
	# shellcheck source=tests/hosts/containerd.sh
	. "$BATS_TEST_DIRNAME/../hosts/containerd.sh"
	cd "$BATS_TEST_TMPDIR" || return
	things > before
}

# detached ID CMD...: with FIFOs that nobody has open, and the standard input that we have
detached() {
	timeout 120 ctr run -d --snapshotter "$containerd_snapshotter" --runtime "$runtime" "$image" "$@" 3>&-
}

# None of our descriptors are for it.
start() {
	containerd_start 3>&- 5>&- 6>&-
}

status_of() {
	ctr task ls | awk -v id="$1" '$1 == id { print $3 }'
}

serving() {
	pgrep -f "containerd-shim-qemubox-v1 .*-id $1 "
}

stdin_of() {
	find /run/containerd/fifo -name "$1-stdin"
}

# bats test_tags=kvm
@test "boxes live on when containerd is killed: they run, and can be attached to and killed" {
	mkfifo in out
	exec 6<> in
	detached lives sh -c 'while read -r line; do echo "got $line"; done' < in 6>&-
	shim=$(serving lives)
	containerd_kill
	start
	[ "$(status_of lives)" = RUNNING ]
	[ "$(serving lives)" = "$shim" ]
	ctr task attach lives < in > out 3>&- 6>&- &
	client=$!
	exec 7< out
	echo hello >&6
	read -r -t 60 -u 7 line
	[ "$line" = 'got hello' ]
	watch
	ctr task kill --signal SIGKILL lives
	await /tasks/exit lives
	unwatch
	status=0
	wait "$client" || status=$?
	[ "$status" -eq 137 ]
	exec 6>&- 7<&-
	ctr container rm lives # the task went with the client
}

@test "an exit while containerd was away is told when it is back, with its status and its time" {
	mkfifo in
	exec 6<> in
	begun=$(date +%s)
	detached away sh -c 'read -r line; exit 7' < in 6>&-
	fifo=$(stdin_of away)
	containerd_kill
	echo now > "$fifo"
	shimctl call away Wait id=away > waited
	grep -q '^exit_status=7$' waited
	exited=$(sed -n 's/^exited_at\.//p' waited)
	told=$(log | grep -c 'event forwarded.*/tasks/exit') || :
	back=$(date +%s)
	containerd_log_level=trace start # "event forwarded" is of that
	watch
	# It came before we listened, or it does now.
	[ "$(log | grep -c 'event forwarded.*/tasks/exit')" -gt "$told" ] || await /tasks/exit away
	unwatch
	[ "$(status_of away)" = STOPPED ]
	# The time is that of the exit, by the host's clock.
	[ "$(shimctl call away State id=away | sed -n 's/^exited_at\.//p')" = "$exited" ]
	[ "$(sed -n 's/^seconds=//p' <<< "$exited")" -le "$back" ]
	[ "$(sed -n 's/^seconds=//p' <<< "$exited")" -ge "$begun" ]
	run ctr task rm away
	[[ $output == *'exit code 7'* ]]
	exec 6>&-
	ctr container rm away
	rm -rf /run/containerd/fifo/*
	containerd_stop
	start
}

@test "a shim that is killed while containerd is away is cleaned up after when it is back" {
	detached gone sleep 1000 < /dev/null
	containerd_kill
	kill -KILL "$(serving gone)"
	start
	[ "$(status_of gone)" = '' ]
	ctr container rm gone
	rm -rf /run/containerd/fifo/*
}

@test "delete by hand after a crash takes less than 5 seconds, and again finds nothing to do" {
	detached crashed sleep 1000 < /dev/null
	bundle=/run/containerd/io.containerd.runtime.v2.task/default/crashed
	containerd_stop
	kill -KILL "$(serving crashed)"
	for _ in 1 2; do
		begun=$(date +%s%N)
		(cd "$bundle" && containerd-shim-qemubox-v1 -namespace default -id crashed -bundle "$bundle" \
			-address /run/containerd/containerd.sock delete) > response
		ms=$((($(date +%s%N) - begun) / 1000000))
		[ "$ms" -lt 5000 ]
		# Field 2, a varint: 137.
		od -An -tx1 response | tr -d '\n' | grep -q ' 10 89 01 1a'
		[ -z "$(vm_processes)" ]
		[ ! -e /run/qemubox/default--crashed ]
		[ ! -e /run/netns/default--crashed ]
		[ "$(find "$bundle/rootfs" | wc -l)" -eq 1 ]
	done
	start
	[ "$(status_of crashed)" = '' ]
	ctr container rm crashed
	rm -rf /run/containerd/fifo/*
}

@test "delete after a normal end takes less than 5 seconds, too" {
	box ended true
	mkdir -p bundle/rootfs
	echo '{}' > bundle/config.json
	begun=$(date +%s%N)
	(cd bundle && containerd-shim-qemubox-v1 -namespace default -id ended -bundle "$PWD" \
		-address /run/containerd/containerd.sock delete) > response
	[ $((($(date +%s%N) - begun) / 1000000)) -lt 5000 ]
	[ -s response ]
	[ ! -e bundle/address ]
}

@test "with QEMUBOX_SHIM_DEBUG the log has more of what the shim does" {
	box quiet true
	run ! grep -q 'qbx-shim: debug' <(log)
	containerd_stop
	QEMUBOX_SHIM_DEBUG=1 start
	box loud true
	logged 'qbx-shim: debug: process [0-9]* ended with status'
	containerd_stop
	start
}
