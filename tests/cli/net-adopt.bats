#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A namespace that somebody else has made and filled: the guest takes the place of what is in it, and it is
# as it was when the box has gone.

# shellcheck disable=SC2154 # nets.bash sets them
# shellcheck disable=SC2030,SC2031 # each test is a process

bats_require_minimum_version 1.5.0
load nets

# pod: a namespace with an interface as a CNI chain leaves it, and the box that is to have it
pod() {
	inside ip netns add pod
	inside ip link add veth0 address 02:00:00:00:00:02 type veth peer name peer0
	inside ip link set veth0 netns pod name eth0 mtu 1400
	inside ip link set peer0 up
	in_pod ip address add 10.9.0.5/24 dev eth0
	in_pod ip address add fd09::5/64 dev eth0 nodad
	in_pod ip link set lo up
	in_pod ip link set eth0 up
	in_pod ip route add default via 10.9.0.1
	in_pod ip route add default via 10.9.0.2 metric 50
	in_pod ip route add 169.254.1.1 dev eth0
	in_pod ip -6 route add default via fd09::1
	in_pod ip neighbour add 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
	in_pod ip link show > "$T/links"
	in_pod tc qdisc show > "$T/qdiscs"
	box='{"qbx":1,"id":"demo","netns":"/run/netns/pod"}'
}

in_pod() {
	inside ip netns exec pod "$@"
}

# The interface first: what a namespace takes along goes later.
pod_ends() {
	inside ip link del peer0
	inside ip netns del pod
}

# It is as it was.
pod_is_left() {
	in_pod ip link show | diff "$T/links" -
	in_pod tc qdisc show | diff "$T/qdiscs" -
	pod_ends
}

@test "all that is configured on it is told, and del leaves it as it was" {
	export QEMUBOX_VCPUS_MAX=2
	pod
	box=$(jq -c '.spec.annotations["io.qemubox.vcpus"] = "2"' <<<"$box")
	net add <<<"$box" >"$T/out"
	[ ! -s "$err" ]
	valid net.json "$T/out"
	jq -e '.net | .netns == "/run/netns/pod" and (.owned | not) and .cni == null and (.links | length) == 1' "$T/out"
	jq -e '.net.links[0] | .name == "eth0" and .tap == "tap0" and .mac == "02:00:00:00:00:02" and .mtu == 1400 and
		.queues == 2' "$T/out"
	jq -e '.net.links[0].addresses | sort == ["10.9.0.5/24", "fd09::5/64"]' "$T/out"
	jq -e '.net.links[0].routes | sort_by(.dst) == [{dst: "0.0.0.0/0", gw: "10.9.0.1"}, {dst: "169.254.1.1/32"},
		{dst: "::/0", gw: "fd09::1"}]' "$T/out"
	jq -e '.net.links[0].neighbours == [{address: "169.254.1.1", mac: "02:00:00:00:00:01"}]' "$T/out"
	in_pod tc filter show dev eth0 parent ffff: | grep -q 'Redirect to device tap0'
	in_pod tc filter show dev tap0 parent ffff: | grep -q 'Redirect to device eth0'
	net check <"$T/out"
	net status <<<"$box" | jq -e '.state == "kept" and .netns == "/run/netns/pod"'
	[ "$(net del <"$T/out")" = "$box" ]
	[ "$(net del <"$T/out")" = "$box" ]
	pod_is_left
}

@test "several interfaces, in the order of their names; what no guest can be is left alone" {
	pod
	in_pod ip link add net10 type veth peer name down10
	in_pod ip link add net9 type veth peer name down9
	in_pod ip link add br0 type bridge
	in_pod ip link add port0 type veth peer name down0
	in_pod ip link set port0 master br0 up
	in_pod ip link set net9 up
	in_pod ip link set net10 up
	net add <<<"$box" | jq -e '[.net.links[] | [.name, .tap]] == [["eth0", "tap0"], ["net9", "tap1"], ["net10", "tap2"]]'
	net del <<<"$box"
	pod_ends
}

@test "nothing in it: an empty network, one warning" {
	inside ip netns add pod
	box='{"qbx":1,"id":"demo","netns":"/run/netns/pod"}'
	net add <<<"$box" | jq -e '.net.links == []'
	one_line 'warning: no network for default--demo: no Ethernet interface in /run/netns/pod is up'
	net del <<<"$box"
	inside ip netns del pod
}

@test "what is no network namespace, or the host's, is refused in a line" {
	touch "$T/file"
	mkfifo "$T/fifo"
	for path in "$T/file" "$T/fifo" /proc/self/ns/mnt; do
		fails 65 add <<<"{\"qbx\":1,\"id\":\"demo\",\"netns\":\"$path\"}"
		one_line "$path is no network namespace"
	done
	fails 69 add <<<'{"qbx":1,"id":"demo","netns":"/run/netns/none"}'
	one_line 'open network namespace /run/netns/none: No such file'
	fails 69 add <<<'{"qbx":1,"id":"demo","netns":"/proc/self/ns/net"}'
	one_line "network namespace /proc/self/ns/net is the host's"
	fails 65 add <<<'{"qbx":1,"id":"demo","netns":"relative"}'
	one_line 'must be an absolute path'
	fails 65 add <<<'{"qbx":1,"id":"demo","netns":"/run/netns/pod","networks":[{}]}'
	one_line 'not both'
}

@test "an interface that another box has already" {
	pod
	net add <<<"$box" >"$T/out"
	fails 69 add <<<"${box/demo/other}"
	one_line 'tap0: there is one in /run/netns/pod'
	in_pod tc filter show dev eth0 parent ffff: | grep -q 'Redirect to device tap0'
	net del <"$T/out"
	pod_is_left
}

@test "a namespace that has gone, or is another one by now" {
	pod
	net add <<<"$box" >"$T/out"
	pod_ends
	net del <"$T/out"
	[ ! -e "$state/leases/$key.json" ]
	pod
	net add <<<"$box" >"$T/out"
	pod_ends
	pod
	in_pod ip link add tap0 type veth peer name other0
	net del <"$T/out"
	in_pod ip link del tap0
	pod_is_left
}

@test "kill -9 at any step: del gives all back" {
	pod
	for call in ioctl renameat,rename sendmsg setns write; do
		n=1
		while :; do
			status=0
			inside env QEMUBOX_STATE_DIR="$state" QEMUBOX_RUN_DIR="$T/run" strace -qq -o /dev/null \
				-e "inject=$call:signal=KILL:when=$n" "$QBX_BIN/qbx-net" add <<<"$box" >/dev/null 2>&1 || status=$?
			net del <<<"$box" >/dev/null
			[ "$status" = 137 ] || break
			n=$((n + 1))
		done
		[ "$n" -gt 1 ]
	done
	pod_is_left
}

@test "gc gives back what a dead owner's box had of it, and leaves the rest" {
	pod
	sleep infinity 3>&- &
	owner=$!
	net add --owner "$owner" <<<"$box" >/dev/null
	net gc
	[ -e "$state/leases/$key.json" ]
	kill "$owner"
	wait "$owner" || :
	[ "$(net gc)" = "$key" ]
	pod_is_left
}

@test "name servers are the host's, without those that only it can reach" {
	pod
	printf 'nameserver 127.0.0.53\nnameserver 192.0.2.7\nsearch host.example\n' >"$T/resolv.conf"
	inside mount --bind "$T/resolv.conf" /etc/resolv.conf
	net add <<<"$box" | jq -e '.net.dns == {nameservers: ["192.0.2.7"], search: ["host.example"]}'
	net del <<<"$box"
	pod_is_left
}
