#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Memory that a container may not have.

bats_require_minimum_version 1.5.0

load boxes
load tasks

@test "over its limit a container is killed in its VM, and containerd is told" {
	watch
	# the kernel picks the largest: here the one that ends the container
	run -137 box --memory-limit=$((64 << 20)) hungry sh -c 'exec dd if=/dev/zero of=/dev/null bs=200M count=1'
	await /tasks/oom '"hungry"'
	await /tasks/exit '"exit_status":137'
	unwatch
}

@test "a process that is killed is not the container" {
	watch
	up --memory-limit=$((96 << 20)) fed
	run -137 ex fed greedy sh -c 'exec dd if=/dev/zero of=/dev/null bs=200M count=1'
	await /tasks/oom '"fed"'
	await /tasks/exit '"greedy"'
	[ "$(ex fed alive echo alive)" = alive ]
	unwatch
	down fed
}
