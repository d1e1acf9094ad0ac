#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The whole pipeline in a test host, as a person types it: real CNI plugins, mkfs.erofs, QEMU, guest.

bats_require_minimum_version 1.5.0

load processes
load root

setup_file() {
	export ROOT=$BATS_FILE_TMPDIR/root
	busybox_root "$ROOT"
	# The first box leaves the bridge and the firewall's chains, as CNI means it: not ours to undo.
	qbx run "$ROOT" true
}

setup() {
	T=$BATS_TEST_TMPDIR
	snapshot > "$T/before"
}

# Everything a box could leave on the host.
snapshot() {
	vm_processes 'qemu|vhost-device|virtiofsd|qbx'
	ip -o link | sed 's/^[0-9]*: //; s/@.*//; s/ .*//'
	ls /run/netns /run/qemubox /var/lib/qemubox/leases 2> /dev/null || :
	find /var/lib/cni -type f ! -name lock ! -name last_reserved_ip.0 2> /dev/null || :
	awk '{ print $2 }' /proc/self/mounts
	find /tmp -maxdepth 1 -name 'tmp.*'
}

teardown() {
	snapshot | diff "$T/before" -
}

@test "run has the command's output, errors and status" {
	# shellcheck disable=SC2016
	run -7 --separate-stderr qbx run "$ROOT" -- sh -c 'echo "$1"; echo err >&2; exit 7' sh 'a  b'
	[ "$output" = 'a  b' ]
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$stderr" = err ]
	run -127 qbx run "$ROOT" nosuch
}

@test "a tar passes through as it is" {
	head -c 2000000 /dev/urandom > "$T/bytes"
	tar -C "$T" -c bytes | qbx run "$ROOT" -- sh -c 'mkdir x && cd x && tar x && tar c bytes' > "$T/back.tar"
	mkdir "$T/back"
	tar -C "$T/back" -xf "$T/back.tar"
	cmp "$T/bytes" "$T/back/bytes"
}

@test "the box reaches its gateway, and another box" {
	gateway=$(ip -j -4 address show dev "$(ip -o link show type bridge | sed 's/^[0-9]*: //; s/:.*//')" |
		jq -r '.[0].addr_info[0].local')
	qbx run "$ROOT" -- ping -c 1 -w 10 "$gateway" > /dev/null
	qbx run "$ROOT" -- sh -c 'ip -4 -o address show eth0; echo hello | nc -l -p 80' > "$T/one" &
	one=$!
	until grep -q inet "$T/one"; do sleep 0.1; done
	address=$(sed 's,.*inet \([0-9.]*\)/.*,\1,' "$T/one")
	qbx run "$ROOT" -- sh -c "until nc $address 80 < /dev/null; do sleep 0.1; done" > "$T/two"
	wait $one
	[ "$(cat "$T/two")" = hello ]
}

@test "without a CNI configuration it starts without network and says so" {
	QEMUBOX_CNI_CONF_DIR=$T run -0 --separate-stderr qbx run "$ROOT" -- ip -o link
	[ "$(wc -l <<< "$output")" -eq 1 ]
	[[ $stderr == *network* ]]
}

@test "SIGTERM for the script ends the command and undoes the box" {
	qbx run "$ROOT" -- sh -c 'trap "exit 4" TERM; echo ready; while :; do sleep 0.1; done' > "$T/out" &
	pid=$!
	until grep -q ready "$T/out"; do sleep 0.1; done
	kill -TERM $pid
	code=0
	wait $pid || code=$?
	[ "$code" -eq 4 ]
}

@test "a root file system that is none is 125, with one line" {
	run -125 --separate-stderr qbx run /dev/null true
	[ "$(wc -l <<< "$stderr")" -eq 1 ]
}
