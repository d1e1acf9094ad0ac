#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kill -9 after every step that can be seen from outside: del alone, and gc alone, find all that is left.
# The program of these tests says itself what its steps are (lib/step.h).

# shellcheck disable=SC2154 # nets.bash sets them
# shellcheck disable=SC2030,SC2031 # each test is a process

bats_require_minimum_version 1.5.0
load nets

# Two networks: with masquerading, and with what a document asks for.
prepare() {
	# shellcheck disable=SC2034 # for net
	qbx_net=$QBX_BIN/../tests/net-steps/qbx-net
	conflist 1.0.0
	echo '{"cniVersion":"0.4.0","name":"second","plugins":[{"type":"ptp","ipam":{"type":"host-local",
		"dataDir":"/run/cni","subnet":"10.78.0.0/24"}}]}' >"$conf/second.conflist"
	box='{"qbx":1,"id":"demo","networks":[{"name":"testnet"},{"name":"second","ifname":"net1"}]}'
	export QEMUBOX_STEPS=$T/steps QEMUBOX_DIE_AT
	# a process that has gone is whose lease it is, or gc would keep what has been finished
	sleep 1000 3>&- &
	owner=$!
}

# steps VERB: to its end, and how many there are
steps() {
	rm -f "$QEMUBOX_STEPS"
	QEMUBOX_DIE_AT='' net "$@" <<<"$box" >"$T/out"
	n=$(wc -l <"$QEMUBOX_STEPS")
}

# killed VERB... : that it was, at step $i
killed() {
	rm -f "$QEMUBOX_STEPS"
	status=0
	QEMUBOX_DIE_AT=$i net "$@" <<<"$box" >/dev/null || status=$?
	[ $status = 137 ] || { echo "step $i: status $status"; cat "$err"; false; }
}

# nothing_after VERB: it leaves nothing, and has nothing to complain about
nothing_after() {
	QEMUBOX_STEPS='' net "$@" <<<"$box" >/dev/null
	left=$(things)
	[ -n "$left" ] || [ -s "$err" ] || return 0
	tail -n 1 "$QEMUBOX_STEPS"
	echo "$left"
	cat "$err"
	false
}

@test "add is killed, del finds everything" {
	prepare
	steps add
	[ "$n" -gt 30 ]
	grep -q '^ADD ptp$' "$QEMUBOX_STEPS"
	grep -q '^tap-kept tap1$' "$QEMUBOX_STEPS"
	grep -q "^lease-new $key\$" "$QEMUBOX_STEPS" # written, and without its name
	nothing_after del
	for i in $(seq "$n"); do
		killed add
		nothing_after del
	done
	kill "$owner"
}

@test "add is killed, gc finds everything" {
	prepare
	steps add --owner "$owner"
	net del <<<"$box"
	for i in $(seq "$n"); do
		sleep 1000 3>&- &
		killed add --owner $!
		kill -9 $! && { wait $! || :; }
		nothing_after gc
	done
	kill "$owner"
}

@test "del is killed, del and gc find the rest" {
	prepare
	QEMUBOX_STEPS='' net add <<<"$box" >/dev/null
	steps del
	[ "$n" -gt 10 ]
	for i in $(seq "$n"); do
		QEMUBOX_STEPS='' net add <<<"$box" >/dev/null
		killed del
		nothing_after del
	done
	for i in $(seq "$n"); do
		sleep 1000 3>&- &
		QEMUBOX_STEPS='' net add --owner $! <<<"$box" >/dev/null
		killed del
		kill -9 $! && { wait $! || :; }
		nothing_after gc
	done
	kill "$owner"
}

@test "one network twice, with rules of both families that the two share" {
	prepare
	box='{"qbx":1,"id":"demo","networks":[{},{}]}'
	QEMUBOX_STEPS='' net add <<<"$box" >/dev/null
	steps del
	first=$(grep -n '^netns-removed' "$QEMUBOX_STEPS" | head -n 1 | cut -d: -f1)
	[ "$first" -lt "$n" ]
	for i in $(seq "$((first + 1))"); do
		QEMUBOX_STEPS='' net add <<<"$box" >/dev/null
		killed del
		nothing_after del
	done
	steps add
	net del <<<"$box"
	for i in $(seq "$((n / 2))" "$n"); do
		killed add
		nothing_after del
	done
	kill "$owner"
}

@test "what goes on after a reboot is killed as well" {
	prepare
	i=1
	while :; do
		QEMUBOX_STEPS='' net add <<<"$box" >/dev/null
		inside umount "/run/netns/$key"
		inside rm "/run/netns/$key"
		rm -f "$QEMUBOX_STEPS"
		status=0
		QEMUBOX_DIE_AT=$i net gc >/dev/null || status=$?
		[ $status = 0 ] || [ $status = 137 ]
		nothing_after gc
		[ $status = 137 ] || break
		i=$((i + 1))
	done
	[ $i -gt 10 ]
	kill "$owner"
}
