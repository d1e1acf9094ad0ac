#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a box reaches over the network that CNI gave it, and what it sees of itself.

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
