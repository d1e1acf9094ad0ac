#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A task that stands still and goes on, and what it uses.
# shellcheck disable=SC2016,SC2154,SC2094 # for the shell in the container; boxes.bash and tasks.bash set them

bats_require_minimum_version 1.5.0

load boxes
load tasks

# What the guest's clock says beyond this host's, in milliseconds, as near as an exec can tell.
clock_ms() {
	local before after guest
	before=${EPOCHREALTIME/./}
	guest=$(ex "$1" "clock$RANDOM" date +%s%N)
	after=${EPOCHREALTIME/./}
	guest=$((guest / 1000))
	if [ "$guest" -lt "$before" ]; then
		echo $(((before - guest) / 1000))
	elif [ "$guest" -gt "$after" ]; then
		echo $(((guest - after) / 1000))
	else
		echo 0
	fi
}

status_of() {
	ctr task ls | awk -v id="$1" '$1 == id { print $3 }'
}

# An hour back, by a container that may. It looks itself, as the clock may be right again in a moment.
set_back() {
	local to=$(($(date +%s) - 3600))
	[ "$(ex "$1" back sh -c "date -s @$to > /dev/null; date +%s")" -lt $((to + 1800)) ]
}

# Is the VM stopped, too? Not where vhost-device-vsock has to survive it.
vm_stops() {
	[ -e /dev/vhost-vsock ]
}

# ticks FILE — so often has the box said something
ticks() {
	wc -l < "$1"
}

# bats test_tags=kvm
@test "pause and resume: nothing runs, and the clock is right afterwards" {
	watch
	cat <&5 > told 3>&- &
	up paused sh -c 'echo up; while :; do echo tick; sleep 0.1; done'
	cat <&8 > said 3>&- &
	qemu=$(jq .pid /run/qemubox/default--paused/vm.json)
	run ! ctr task resume paused
	[[ $output == *'not paused'* ]]
	ctr task pause paused
	[ "$(status_of paused)" = PAUSED ]
	run ! ctr task pause paused
	[[ $output == *'paused already'* ]]
	state=running
	! vm_stops || state=paused
	[ "$(qbx-vm status --box /run/qemubox/default--paused/box.json | jq -r .state)" = $state ]
	before=$(ticks said) used=$(awk '{ print $14 + $15 }' "/proc/$qemu/stat")
	sleep 3
	[ "$(ticks said)" -eq "$before" ]
	used=$(($(awk '{ print $14 + $15 }' "/proc/$qemu/stat") - used))
	[ "$used" -lt 20 ] || ! vm_stops
	# what is known is answered, the rest refused, and nothing waits
	SECONDS=0
	ctr task metrics paused > metrics
	grep -q 'memory.usage' metrics
	ctr task ps paused > /dev/null
	run ! ex paused one true
	[[ $output == *'is paused'* ]]
	run ! ctr task rm paused
	[ "$SECONDS" -lt 60 ]
	ctr task resume paused
	[ "$(status_of paused)" = RUNNING ]
	[ "$(clock_ms paused)" -le 50 ]
	until [ "$(ticks said)" -gt $((before + 3)) ]; do sleep 0.1; done
	down paused
	unwatch
	[ "$(grep -oE '/tasks/(paused|resumed)' told | xargs)" = '/tasks/paused /tasks/resumed' ]
}

@test "a signal waits for the resume, but SIGKILL does not" {
	up handles sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done'
	ctr task pause handles
	timeout 60 ctr task kill --signal SIGTERM handles
	[ "$(status_of handles)" = PAUSED ]
	ctr task resume handles
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 9 ]
	up dies
	ctr task pause dies
	ctr task kill --signal SIGKILL dies
	status=0
	wait "$pid" || status=$?
	[ "$status" -eq 137 ]
}

# Where it does not stop, what is left of this is that a clock which was moved is put right again.
# bats test_tags=kvm
@test "a clock that stood still is right again when the VM goes on" {
	up --privileged by-hand
	document=/run/qemubox/default--by-hand/box.json
	if vm_stops; then
		qbx-vm pause --box $document > /dev/null
		[ "$(status_of by-hand)" = PAUSED ]
		sleep 2
		ctr task resume by-hand
		[ "$(status_of by-hand)" = RUNNING ]
		[ "$(clock_ms by-hand)" -le 50 ]
		# nobody but the monitor tells the shim of this one
		qbx-vm pause --box $document > /dev/null
		sleep 2
		qbx-vm resume --box $document > /dev/null
	else
		set_back by-hand
	fi
	SECONDS=0
	until [ "$(clock_ms by-hand)" -le 50 ]; do [ "$SECONDS" -lt 20 ]; done
	down by-hand
}

@test "metrics" {
	up measured sh -c 'echo up; head -c 50000000 /dev/zero | tail -c 40000000 > /tmp/file; exec sleep 1000'
	ctr task metrics --format json measured > metrics
	jq -e '.pids.current >= 1 and .cpu.usage_usec > 0 and .memory.usage > 0' metrics
	down measured
}
