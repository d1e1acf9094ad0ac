#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# qbx-net in a test host: frames through the redirect, a chain with its own TAP, kill -9 anywhere.

bats_require_minimum_version 1.5.0

setup() {
	T=$BATS_TEST_TMPDIR
	export QEMUBOX_CNI_CONF_DIR=$T/net.d QEMUBOX_CNI_BIN_DIR=/usr/lib/cni QEMUBOX_STATE_DIR=$T/state
	mkdir "$QEMUBOX_CNI_CONF_DIR"
	ipam='"ipam":{"type":"host-local","dataDir":"'$T/ipam'","subnet":"10.79.0.0/24",
		"routes":[{"dst":"0.0.0.0/0"}]}'
	box='{"qbx":1,"id":"demo"}'
	net0=$(state_of_host)
}

teardown() {
	qbx-net del <<<"$box" >/dev/null || :
	ip link del qbx9 2>/dev/null || :
	after=$(state_of_host)
	[ "$after" = "$net0" ] || { diff <(echo "$net0") <(echo "$after"); false; }
	[ -z "$(ls -A "$T/state/leases")" ]
	[ -z "$(find "$T/ipam" -name '10.*')" ]
}

# What must be the same before and after.
state_of_host() {
	ip -o link | cut -d: -f2
	ls /run/netns 2>/dev/null || :
	grep -c nsfs /proc/self/mounts || :
}

conflist() {
	echo "{\"cniVersion\":\"$1\",\"name\":\"e2e\",\"plugins\":[$2]}" >"$QEMUBOX_CNI_CONF_DIR/1.conflist"
}

bridge() {
	echo '{"type":"bridge","bridge":"qbx9","isGateway":true,'"$ipam"'}'
}

# Be the guest of box ID ($1): on its TAP, with its MAC and address, find $2 by ARP and ping it.
guest() {
	net=$(jq -c .net "$T/$1.json")
	ip netns exec "default--$1" perl "$BATS_TEST_DIRNAME/guest.pl" \
		"$(jq -r '.links[0].tap' <<<"$net")" "$(jq -r '.links[0].mac' <<<"$net")" \
		"$(jq -r '.links[0].addresses[0]' <<<"$net")" "$2"
}

@test "frames pass both ways between the TAP and the bridge" {
	conflist 1.0.0 "$(bridge)"
	qbx-net add <<<"$box" >"$T/demo.json"
	guest demo 10.79.0.1
}

@test "CNI 1.1.0" {
	conflist 1.1.0 "$(bridge)"
	qbx-net add <<<"$box" >"$T/demo.json"
	guest demo 10.79.0.1
}

@test "the namespace's own stack answers nothing in the guest's place" {
	conflist 1.0.0 "$(bridge)"
	qbx-net add <<<"$box" >"$T/demo.json"
	run ! ping -c 1 -W 1 "$(jq -r '.net.links[0].addresses[0]' "$T/demo.json" | cut -d/ -f1)"
}

@test "a chain that makes its own TAP: it is used as it is" {
	conflist 1.0.0 '{"type":"tap",'"$ipam"'}'
	qbx-net add <<<"$box" >"$T/demo.json"
	jq -e '.net.links[0] | .name == "eth0" and .ifname == "net0" and .tap == "net0" and .addresses == ["10.79.0.2/24"]' \
		"$T/demo.json"
	[ "$(ip -n default--demo -o link | wc -l)" = 2 ]
	# the guest and the TAP are two stations on one wire
	mac=$(jq -r '.net.links[0].mac' "$T/demo.json")
	run ! grep -q "$mac" <(ip -n default--demo -o link show net0)
}

# killed_at SYSCALL N VERB: was it killed, as it entered its Nth call of SYSCALL?
killed_at() {
	status=0
	strace -qq -o /dev/null -e "inject=$1:signal=KILL:when=$2" qbx-net "$3" <<<"$box" \
		>/dev/null 2>&1 || status=$?
	[ "$status" = 137 ]
}

@test "kill -9 before any system call that changes something: del gives all back" {
	conflist 1.0.0 "$(bridge)"
	kills=0
	for call in clone flock ioctl mkdir mount renameat,rename sendmsg setns unlink unshare write; do
		n=1
		while killed_at $call $n add; do
			[ "$(qbx-net del <<<"$box")" = "$box" ]
			[ -z "$(ls -A "$T/state/leases" 2>/dev/null)" ]
			[ -z "$(find "$T/ipam" -name '10.*' 2>/dev/null)" ]
			[ ! -e /run/netns/default--demo ]
			n=$((n + 1)) kills=$((kills + 1))
		done
		[ "$status" = 0 ]
		qbx-net del <<<"$box" >/dev/null
	done
	echo "# killed $kills times" >&3
	[ "$kills" -gt 30 ]
}

@test "kill -9 in the middle of del: the next one finishes it" {
	conflist 1.0.0 "$(bridge)"
	for call in clone sendmsg umount2 unlink; do
		qbx-net add <<<"$box" >/dev/null
		killed_at $call 1 del
		[ "$(qbx-net del <<<"$box")" = "$box" ]
		[ ! -e /run/netns/default--demo ]
	done
}

@test "STATUS and GC of the plugins themselves" {
	export QEMUBOX_CNI_CACHE_DIR=$T/cache
	conflist 1.1.0 "$(bridge)"
	qbx-net ready
	qbx-net add <<<"$box" >"$T/demo.json"
	[ -z "$(qbx-net gc --network e2e)" ]
	qbx-net check <"$T/demo.json"
	guest demo 10.79.0.1
	mkdir "$T/bin"
	printf '#!/bin/sh\n%s\n%s\n' "echo '{\"code\":50,\"msg\":\"no address is left\"}'" 'exit 1' > "$T/bin/full"
	chmod +x "$T/bin/full"
	export QEMUBOX_CNI_BIN_DIR=$T/bin:/usr/lib/cni
	conflist 1.1.0 "$(bridge | sed 's/host-local/full/')"
	run -75 --separate-stderr qbx-net ready
	# shellcheck disable=SC2154 # bats sets stderr
	[[ $stderr == *'CNI plugin bridge: STATUS failed'*'no address is left'* ]] || { echo "$stderr"; false; }
}
