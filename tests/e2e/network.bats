#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a box reaches over the network that CNI gave it, and what it sees of itself.

# shellcheck disable=SC2030,SC2031 # each test is a process
# shellcheck disable=SC2154 # boxes.bash sets them

bats_require_minimum_version 1.5.0
load boxes

gateway=10.88.0.1

@test "ping to the gateway" {
	run box pings ping -c 3 -W 5 $gateway
	[ "$status" -eq 0 ]
	[[ $output == *' 0% packet loss'* ]]
}

# bats test_tags=kvm
@test "TCP to the gateway, both ways, a megabyte" {
	head -c 1000000 /dev/urandom > sent
	socat TCP-LISTEN:7001,bind=$gateway,reuseaddr EXEC:'cat' 3>&- &
	server=$!
	box tcp socat -t 30 - TCP:$gateway:7001,retry=20,interval=0.5 < sent > echoed
	cmp sent echoed
	wait $server
}

# bats test_tags=kvm
@test "ping and TCP to a second box" {
	mkfifo says
	# shellcheck disable=SC2016 # the container's shell expands these
	box server sh -c '
		ip -4 -o address show dev eth0 | sed "s/.*inet \([0-9.]*\).*/\1/"
		exec socat -u TCP-LISTEN:7002 STDOUT' > says &
	server=$!
	exec 5< says
	read -r -u 5 address
	run box client sh -c "ping -c 2 -W 5 $address && echo across | socat -u - TCP:$address:7002,retry=20,interval=0.5"
	[ "$status" -eq 0 ]
	[[ $output == *' 0% packet loss'* ]]
	read -r -u 5 line
	[ "$line" = across ]
	exec 5<&-
	wait $server
}

@test "no other host is reached from a box without a route to it" {
	run box stray ping -c 1 -W 1 192.0.2.1
	[ "$status" -ne 0 ]
}

@test "a kernel, a process tree and a cgroup v2 of its own" {
	# shellcheck disable=SC2016 # the container's shell expands these
	run box --mount=type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro sees sh -c '
		uname -r; echo $$; cat /proc/self/cgroup; stat -f -c %T /sys/fs/cgroup'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == 6.* && ${lines[0]} != "$(uname -r)" ]]
	[ "${lines[1]}" = 1 ]
	[ "${lines[2]}" = 0::/ ]
	[ "${lines[3]}" = cgroup2fs ]
}

# given FILE ADDRESS: a namespace on the boxes' bridge that somebody else has made and filled
given() {
	touch "$1"
	unshare "--net=$1" true
	ip link add given0 type veth peer name eth0 netns "$1" address 02:00:00:00:aa:01 mtu 1400
	ip link set given0 master qemubox0 up
	in_given "$1" ip address add "$2/16" dev eth0
	in_given "$1" ip link set eth0 up
	in_given "$1" ip route add default via $gateway
}

in_given() {
	nsenter "--net=$1" "${@:2}"
}

@test "a namespace that is made and filled: the box has what is in it, and leaves it as it was" {
	pod=$PWD/pod
	given "$pod" 10.88.77.7
	mkfifo says
	# shellcheck disable=SC2016 # the container's shell expands these
	box "--with-ns=network:$pod" inpod sh -c '
		cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu
		ip route; cat /etc/hosts; echo up
		exec socat -u TCP-LISTEN:7003 STDOUT' > says &
	server=$!
	exec 5< says
	until [[ ${line:-} == up ]]; do
		read -r -u 5 line
		echo "$line" >> seen
	done
	grep -qx 02:00:00:00:aa:01 seen
	grep -qx 1400 seen
	grep -q "default via $gateway" seen
	grep -q '^10.88.77.7' seen
	# QEMU is in it, as what joins it by the task's pid expects.
	pid=$(ctr task ls | awk '$1 == "inpod" { print $2 }')
	[ "$(stat -Lc %i "/proc/$pid/ns/net")" = "$(stat -Lc %i "$pod")" ]
	echo across | socat -u - TCP:10.88.77.7:7003,retry=20,interval=0.5
	read -r -u 5 line
	[ "$line" = across ]
	exec 5<&-
	wait $server
	[ "$(in_given "$pod" ip -o link | wc -l)" -eq 2 ]
	run ! grep -q ingress <(in_given "$pod" tc qdisc show)
	ping -c 1 -W 5 10.88.77.7 # its own again
	ip link del given0
	umount "$pod"
}

# counters ID FILE: bytes and packets that have come out of the VM and gone into it, at its TAP and at the
# interface that it takes the place of
counters() {
	pid=$(ctr task ls | awk -v id="$1" '$1 == id { print $2 }')
	nsenter -t "$pid" -n ip -j -s link show > links
	jq -c '[.[] | {(.ifname): .stats64}] | add | {
		tap_out: .tap0.rx, nic_out: .net0.tx, nic_in: .net0.rx, tap_in: .tap0.tx}' links > "$2"
}

# large WAY: 20 MB went that way between the two files, and in less packets than an MTU of 1500 has room for:
# 13700 and some of acknowledgements. What is larger than the MTU has no checksum yet, either.
large() {
	jq -se --arg way "$1" '
		map(to_entries | map(select(.key | endswith("_" + $way)) | .value)) | transpose |
		map([.[1].bytes - .[0].bytes, .[1].packets - .[0].packets]) |
		if all(.[]; .[0] > 20000000 and .[1] < 10000) then . else error("\(.)") end' first last
}

# bats test_tags=kvm
@test "two processors: two queues, and segments larger than the MTU pass whole, both ways" {
	mkfifo says
	socat -u TCP-LISTEN:7006,bind=$gateway,reuseaddr OPEN:received,creat 3>&- &
	sink=$!
	# shellcheck disable=SC2016 # the container's shell expands these
	box --cpus=2 wide sh -c '
		echo /sys/class/net/eth0/queues/*
		ip -4 -o address show dev eth0 | sed "s/.*inet \([0-9.]*\).*/\1/"
		socat -u TCP-LISTEN:7005 SYSTEM:"wc -c"
		head -c 20000000 /dev/zero | socat -u - TCP:'$gateway':7006,retry=20,interval=0.5
		echo sent; exec socat -u TCP-LISTEN:7005 STDOUT' > says &
	server=$!
	exec 5< says
	read -r -u 5 queues
	[ "$queues" = "$(echo /sys/class/net/eth0/queues/{rx,tx}-{0,1})" ]
	read -r -u 5 address
	counters wide first
	head -c 20000000 /dev/zero | socat -u - "TCP:$address:7005,retry=20,interval=0.5"
	read -r -u 5 line
	[ "$line" -eq 20000000 ]
	read -r -u 5 line
	[ "$line" = sent ]
	wait $sink
	[ "$(stat -c %s received)" -eq 20000000 ]
	counters wide last
	large in
	large out
	echo end | socat -u - "TCP:$address:7005,retry=20,interval=0.5"
	read -r -u 5 line
	[ "$line" = end ]
	exec 5<&-
	wait $server
}

@test "the same id in another namespace of containerd is another box" {
	# shellcheck disable=SC2016 # the container's shell expands it
	own='ip -4 -o address show dev eth0 | sed "s/.*inet \([0-9.]*\).*/\1/"'
	mkfifo says
	box same sh -c "$own; exec socat -u TCP-LISTEN:7005 STDOUT" > says &
	server=$!
	exec 5< says
	read -r -u 5 first
	export CONTAINERD_NAMESPACE=other
	ctr image import --snapshotter "$containerd_snapshotter" "$archive" >&2
	# shellcheck disable=SC2016 # the container's shell expands it
	run box same sh -c "$own"'; ping -c 1 -W 5 "$1" > /dev/null && echo reached; cat /sys/class/net/eth0/address' \
		sh "$first"
	unset CONTAINERD_NAMESPACE
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == 10.88.* && ${lines[0]} != "$first" ]]
	[ "${lines[1]}" = reached ]
	[ "${lines[2]}" != "$(ip -n default--same -j link show net0 | jq -r '.[0].address')" ]
	# What the one gave back when it ended was nothing of the other's.
	[ -z "$(qbx-net check --box /run/qemubox/default--same/box.json)" ]
	echo across | socat -u - "TCP:$first:7005"
	read -r -u 5 line
	[ "$line" = across ]
	exec 5<&-
	wait $server
	ctr -n other image rm --sync "$image" > /dev/null
	ctr namespaces rm other > /dev/null
	rmdir /run/containerd/io.containerd.runtime.v2.task/other # which containerd keeps
}

@test "no network at all is a choice" {
	run box --annotation=io.qemubox.net=none alone sh -c 'ls /sys/class/net; ip -4 -o addr show'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = lo ]
	[[ $output != *10.88* ]]
}

@test "ctr run --cni: what it makes between Create and Start is the box's network" {
	# What ctr gives back when the namespace has gone, with any runtime, is not the masquerading.
	iptables-save -t nat > rules
	mkfifo says
	# shellcheck disable=SC2016 # the container's shell expands these
	box --cni later sh -c '
		ip -4 -o address show | sed -n "s/.*\(eth[0-9]\) *inet \([0-9.]*\).*/\1 \2/p"
		cat /etc/hosts; ip route; echo up
		exec socat -u TCP-LISTEN:7004 STDOUT' > says &
	server=$!
	exec 5< says
	read -r -u 5 ifname address
	until [[ ${line:-} == up ]]; do
		read -r -u 5 line
		echo "$line" >> seen
	done
	[ "$ifname" = eth0 ]
	grep -q "^$address" seen
	grep -q "default via $gateway dev eth0" seen
	# Its lease is the one that ctr made, and ours has been given back.
	grep -l default-later /var/lib/cni/networks/*/"$address"
	[ "$(grep -l later /var/lib/cni/networks/*/10.* | wc -l)" -eq 1 ]
	pid=$(ctr task ls | awk '$1 == "later" { print $2 }')
	nsenter -t "$pid" -n ip -o address show dev eth0 | grep -q "$address"
	echo across | socat -u - "TCP:$address:7004,retry=20,interval=0.5"
	read -r -u 5 line
	[ "$line" = across ]
	exec 5<&-
	wait $server
	# Its veth goes with the namespace, which the kernel takes down in its own time.
	SECONDS=0
	while [ "$(ip -o link show type veth)" ]; do
		[ "$SECONDS" -lt 60 ]
		sleep 0.1
	done
	iptables-restore -T nat < rules
}
